import stringWidth from 'string-width';

/**
 * Text that comes piece by piece, with lines of at most `width` cells: they end between words. A word that fits into no
 * line is left to the terminal.
 */
export class WordWrap {
  readonly #width: () => number;
  readonly #write: (text: string) => void;
  readonly #indent: string;
  #column = 0;
  /** Blanks before a word, which are left out where the line ends, and what came of the word. */
  #blanks = '';
  #word = '';

  /** `width` is asked for at each word: a terminal may become narrower. `indent` begins lines that go on with one. */
  constructor(width: () => number, write: (text: string) => void, indent = '') {
    this.#width = width;
    this.#write = write;
    this.#indent = indent;
  }

  push(text: string): void {
    for (const part of text.split(/(\n| +)/)) {
      if (part === '') continue;
      if (part === '\n') {
        this.flush();
        this.#blanks = '';
        this.#write('\n');
        this.#column = 0;
      } else if (part.startsWith(' ')) {
        this.flush();
        this.#blanks += part;
      } else this.#word += part;
    }
  }

  /** Writes the word that may not be at its end. */
  flush(): void {
    if (this.#word === '') return;
    const cells = stringWidth(this.#word);
    if (this.#column > 0 && this.#column + this.#blanks.length + cells > this.#width()) {
      this.#write(`\n${this.#indent}${this.#word}`);
      this.#column = this.#indent.length + cells;
    } else {
      this.#write(this.#blanks + this.#word);
      this.#column += this.#blanks.length + cells;
    }
    this.#blanks = '';
    this.#word = '';
  }
}

/** A text in lines of at most `width` cells; what goes on in a further line begins `hang` cells from its start. */
export function wrapped(text: string, width: number, hang = 0): string {
  let lines = '';
  const write = (part: string): void => {
    lines += part;
  };
  const wrap = new WordWrap(() => width, write, ' '.repeat(Math.min(hang, Math.floor(width / 2))));
  wrap.push(text);
  wrap.flush();
  return lines;
}
