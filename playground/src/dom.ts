type Listeners = { readonly [E in keyof HTMLElementEventMap]?: (event: HTMLElementEventMap[E]) => void };

/** Attributes by name; one that is false or undefined is left out, one that is true is empty. */
type Attributes = Readonly<Record<string, string | number | boolean | undefined>>;

export type Child = Node | string | undefined;

/** An element with attributes, listeners and children. */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  setAttributes(element, attributes);
  element.append(...present(children));
  return element;
}

const SVG = 'http://www.w3.org/2000/svg';

/** The same for a drawing. */
export function s<K extends keyof SVGElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: readonly Child[]
): SVGElementTagNameMap[K] {
  const element = document.createElementNS(SVG, tag);
  setAttributes(element, attributes);
  element.append(...present(children));
  return element;
}

function setAttributes(element: Element, attributes: Attributes): void {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false) element.setAttribute(name, value === true ? '' : `${value}`);
  }
}

const present = (children: readonly Child[]): (Node | string)[] =>
  children.filter((child) => child !== undefined);

/** Adds listeners and gives the element back. */
export function on<E extends HTMLElement>(element: E, listeners: Listeners): E {
  for (const [name, listener] of Object.entries(listeners))
    element.addEventListener(name, listener as EventListener);
  return element;
}

/** A button. */
export const button = (text: string, click: () => void, attributes: Attributes = {}): HTMLButtonElement =>
  on(h('button', { type: 'button', ...attributes }, text), { click });

let fields = 0;

/** A control with its label above it. */
export function field(label: string, control: HTMLElement, hint?: string): HTMLElement {
  control.id ||= `field-${++fields}`;
  return h(
    'div',
    { class: 'field' },
    h('label', { class: 'label', for: control.id }, label),
    control,
    hint === undefined ? undefined : h('span', { class: 'hint' }, hint),
  );
}

/** A choice among texts. */
export function select(
  options: readonly { readonly value: string; readonly text: string }[],
  chosen: string,
  change: (value: string) => void,
): HTMLSelectElement {
  const element = h(
    'select',
    {},
    ...options.map(({ value, text }) => h('option', { value, selected: value === chosen }, text)),
  );
  return on(element, { change: () => change(element.value) });
}

/** A whole number or a number with a least, a most and a step. */
export function numberInput(
  value: number,
  range: { readonly min: number; readonly max: number; readonly step?: number | 'any' },
  change: (value: number) => void,
): HTMLInputElement {
  const input = h('input', { type: 'number', value, inputmode: 'decimal', required: true, ...range });
  return on(input, {
    change: () => {
      if (input.reportValidity()) change(input.valueAsNumber);
    },
  });
}
