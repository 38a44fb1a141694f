import { h, on, s } from '../dom.ts';
import { tick as tickText } from '../format.ts';
import { extent, linear, logarithmic, type Scale } from './scale.ts';

/** A line, or the area between two. */
export interface Line {
  readonly name: string;
  /** Of the style sheet: how it looks. */
  readonly look: string;
  readonly x: ArrayLike<number>;
  readonly y: ArrayLike<number>;
  /** The upper edge of an area of which `y` is the lower one. */
  readonly upTo?: ArrayLike<number>;
}

export interface LineChartContent {
  readonly lines: readonly Line[];
  readonly xLabel: (x: number) => string;
  readonly yLabel?: (y: number) => string;
  /** Beside what the lines need. */
  readonly yDomain?: readonly [number, number];
  readonly logX?: boolean;
  readonly logY?: boolean;
  /** An upright line, such as the present. */
  readonly mark?: { readonly x: number; readonly text: string };
  /** Points drawn as rings. */
  readonly rings?: readonly { readonly x: number; readonly y: number }[];
  /** What is said of the place under the pointer. */
  readonly hover?: (x: number) => string;
}

const MARGIN = { top: 14, right: 14, bottom: 26, left: 52 };

/** A chart as wide as there is room. Its content is in `label` for those who do not see it. */
export class LineChart {
  readonly element: HTMLElement;
  readonly #drawing = s('svg', { role: 'img' });
  readonly #reading = h('p', { class: 'reading' }, '\u00a0');
  readonly #height: number;
  #content: LineChartContent | undefined;
  #x: Scale | undefined;
  #pointer = s('line', { class: 'pointer' });

  constructor(label: string, height = 300) {
    this.#height = height;
    this.#drawing.setAttribute('aria-label', label);
    this.element = h('figure', { class: 'chart' }, this.#drawing, this.#reading);
    new ResizeObserver(() => this.#draw()).observe(this.element);
    on(this.element, {
      pointermove: (event) => this.#point(event.clientX),
      pointerleave: () => {
        this.#reading.textContent = '\u00a0';
        this.#pointer.setAttribute('visibility', 'hidden');
      },
    });
  }

  show(content: LineChartContent): void {
    this.#content = content;
    this.#draw();
  }

  #draw(): void {
    const content = this.#content;
    const width = this.element.clientWidth;
    if (!content || width === 0) return;
    const { lines } = content;
    const [x0, x1] = extent(
      lines.map(({ x }) => x),
      0,
    );
    const [low, high] = extent(
      [...lines.flatMap(({ y, upTo }) => (upTo ? [y, upTo] : [y])), content.yDomain ?? []],
      content.logY ? 0 : 0.05,
    );
    const across: [number, number] = [MARGIN.left, width - MARGIN.right];
    const upward: [number, number] = [this.#height - MARGIN.bottom, MARGIN.top];
    const count = Math.max(3, Math.floor((across[1] - across[0]) / 110));
    const x = content.logX ? logarithmic([x0, x1], across) : linear([x0, x1], across, count);
    const y = content.logY ? logarithmic([low, high], upward) : linear([low, high], upward, 4);
    this.#x = x;
    this.#drawing.setAttribute('viewBox', `0 0 ${width} ${this.#height}`);
    this.#drawing.setAttribute('height', `${this.#height}`);
    this.#pointer = s('line', { class: 'pointer', y1: upward[1], y2: upward[0], visibility: 'hidden' });
    this.#drawing.replaceChildren(
      ...y.ticks.flatMap((tick) => [
        s('line', { class: 'grid', x1: across[0], x2: across[1], y1: y(tick), y2: y(tick) }),
        s(
          'text',
          { class: 'tick', x: across[0] - 8, y: y(tick), dy: '0.32em', 'text-anchor': 'end' },
          (content.yLabel ?? tickText)(tick),
        ),
      ]),
      ...x.ticks.map((tick) =>
        s(
          'text',
          { class: 'tick', x: x(tick), y: this.#height - 6, 'text-anchor': anchor(x(tick), across) },
          content.xLabel(tick),
        ),
      ),
      ...lines.map((line) =>
        s('path', { class: `line ${line.look}${line.upTo ? ' area' : ''}`, d: pathOf(line, x, y) }),
      ),
      ...(content.rings ?? []).map((ring) =>
        s('circle', { class: 'ring', cx: x(ring.x), cy: y(ring.y), r: 4.5 }),
      ),
      ...(content.mark ? markOf(content.mark, x, upward, across) : []),
      this.#pointer,
    );
  }

  #point(clientX: number): void {
    const hover = this.#content?.hover;
    if (!hover || !this.#x || !this.#content) return;
    const at = clientX - this.element.getBoundingClientRect().left;
    let nearest = Number.NaN;
    for (const { x } of this.#content.lines)
      for (let i = 0; i < x.length; i++)
        if (!(Math.abs(this.#x(x[i]) - at) >= Math.abs(this.#x(nearest) - at))) nearest = x[i];
    this.#reading.textContent = hover(nearest);
    this.#pointer.setAttribute('x1', `${this.#x(nearest)}`);
    this.#pointer.setAttribute('x2', `${this.#x(nearest)}`);
    this.#pointer.setAttribute('visibility', 'visible');
  }
}

/** Texts at the edges lean inwards. */
const anchor = (at: number, [left, right]: readonly [number, number]): string =>
  at - left < 30 ? 'start' : right - at < 30 ? 'end' : 'middle';

function markOf(
  { x: at, text }: { readonly x: number; readonly text: string },
  x: Scale,
  [bottom, top]: readonly [number, number],
  across: readonly [number, number],
): Node[] {
  const place = x(at);
  const leans = anchor(place, across) === 'start' || place < across[1] - 90;
  return [
    s('line', { class: 'mark', x1: place, x2: place, y1: top, y2: bottom }),
    s(
      'text',
      { class: 'tick', x: leans ? place + 5 : place - 5, y: top + 8, 'text-anchor': leans ? 'start' : 'end' },
      text,
    ),
  ];
}

function pathOf({ x: xs, y: ys, upTo }: Line, x: Scale, y: Scale): string {
  const forth = points(xs, ys, x, y);
  if (!upTo)
    return `${forth.map((p, i) => (p === '' ? '' : (i > 0 && forth[i - 1] !== '' ? 'L' : 'M') + p)).join('')}`;
  const back = points(xs, upTo, x, y).reverse();
  return `M${[...forth, ...back].filter((p) => p !== '').join('L')}Z`;
}

/** Empty where a number is missing. */
const points = (xs: ArrayLike<number>, ys: ArrayLike<number>, x: Scale, y: Scale): string[] =>
  Array.from(xs, (at, i) => (Number.isFinite(ys[i]) ? `${x(at).toFixed(1)},${y(ys[i]).toFixed(1)}` : ''));

/** What the lines of a chart are. */
export const legend = (entries: readonly { readonly name: string; readonly look: string }[]): HTMLElement =>
  h(
    'ul',
    { class: 'legend' },
    ...entries.map(({ name, look }) => h('li', {}, h('span', { class: `swatch ${look}` }), name)),
  );
