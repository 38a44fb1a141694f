export type Attributes = Readonly<Record<string, string | number | undefined>>;

const named: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Text for the inside of an element or of a quoted attribute, in HTML and in SVG. */
export const escapeText = (text: string): string => text.replace(/[&<>"']/g, (letter) => named[letter]);

/** An element of SVG or HTML; `children` is markup already. Undefined attributes are left out. */
export function element(name: string, attributes: Attributes, children = ''): string {
  const written = Object.entries(attributes)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => ` ${key}="${typeof value === 'number' ? pixels(value) : escapeText(value!)}"`)
    .join('');
  return children === '' ? `<${name}${written}/>` : `<${name}${written}>${children}</${name}>`;
}

export const svgText = (x: number, y: number, text: string, attributes: Attributes = {}): string =>
  element('text', { x, y, ...attributes }, escapeText(text));

/** A hundredth of a pixel is enough. */
export const pixels = (value: number): string => String(Math.round(value * 100) / 100);

/** Width of text in a wide font: charts are laid out before a browser measures anything. */
export const textWidth = (text: string, size = 12): number => text.length * size * 0.6;

export const boldWidth = (text: string, size = 12): number => textWidth(text, size) * 1.12;
