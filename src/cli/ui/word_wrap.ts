import stringWidth from 'string-width';

/**
 * Text that comes piece by piece, with lines of at most `width` cells: they end between words. A word that fits into no
 * line is left to the terminal.
 */
export class WordWrap {
  readonly #width: () => number;
  readonly #write: (text: string) => void;
  #column = 0;
  /** Blanks before a word, which are left out where the line ends, and what came of the word. */
  #blanks = '';
  #word = '';

  /** `width` is asked for at each word: a terminal may become narrower. */
  constructor(width: () => number, write: (text: string) => void) {
    this.#width = width;
    this.#write = write;
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
      this.#write(`\n${this.#word}`);
      this.#column = cells;
    } else {
      this.#write(this.#blanks + this.#word);
      this.#column += this.#blanks.length + cells;
    }
    this.#blanks = '';
    this.#word = '';
  }
}
