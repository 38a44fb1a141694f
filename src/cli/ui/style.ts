import { styleText } from 'node:util';

/** The few ways in which output speaks; each is the identity where there is no colour. */
export interface Style {
  readonly strong: (text: string) => string;
  readonly dim: (text: string) => string;
  readonly accent: (text: string) => string;
  readonly good: (text: string) => string;
  readonly warning: (text: string) => string;
  readonly bad: (text: string) => string;
}

type Format = Parameters<typeof styleText>[0];

/** Whether colour is wanted was decided by `wantsColor`: node's own look at a stream is left out. */
const paint = (format: Format) => (text: string) =>
  text === '' ? '' : styleText(format, text, { validateStream: false });
const plainText = (text: string): string => text;

const colored: Style = {
  strong: paint('bold'),
  dim: paint('dim'),
  accent: paint('cyan'),
  good: paint('green'),
  warning: paint('yellow'),
  bad: paint('red'),
};

const plain: Style = {
  strong: plainText,
  dim: plainText,
  accent: plainText,
  good: plainText,
  warning: plainText,
  bad: plainText,
};

export const createStyle = (color: boolean): Style => (color ? colored : plain);

type Environment = Readonly<Record<string, string | undefined>>;

/** NO_COLOR (no-color.org) goes before FORCE_COLOR; without either, colour is for terminals that understand it. */
export function wantsColor(stream: { readonly isTTY?: boolean }, env: Environment): boolean {
  if (env.NO_COLOR) return false;
  if (env.FORCE_COLOR) return env.FORCE_COLOR !== '0';
  return isInteractive(stream, env);
}

/** Whether lines that were written can be redrawn. */
export function isInteractive(stream: { readonly isTTY?: boolean }, env: Environment): boolean {
  return stream.isTTY === true && env.TERM !== 'dumb';
}
