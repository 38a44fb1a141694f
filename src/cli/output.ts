import { createStyle, type Style, wantsColor } from './ui/style.ts';

/** Standard output as commands write to it. Figures on their way, such as the engine's name, go to standard error. */
export interface Output {
  readonly style: Style;
  /** Columns of the terminal; no bound where the output goes to a file or another program. */
  readonly width: number;
  line(text?: string): void;
  /** Without a line's end. */
  text(text: string): void;
  json(value: unknown): void;
}

export function standardOutput(): Output {
  const { stdout } = process;
  return {
    style: createStyle(wantsColor(stdout, process.env)),
    width: stdout.isTTY ? stdout.columns : Number.POSITIVE_INFINITY,
    line: (text = '') => stdout.write(`${text}\n`),
    text: (text) => stdout.write(text),
    json: (value) => stdout.write(`${JSON.stringify(value, null, 2)}\n`),
  };
}
