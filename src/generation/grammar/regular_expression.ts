import { XlstmError } from '../../errors.ts';
import { oneLine } from '../../quote.ts';
import {
  type CodePoints,
  complement,
  type Expression,
  eitherOf,
  ranges,
  repeat,
  sequenceOf,
} from './expression.ts';

/** Copies that {n} may ask for. */
const MOST_REPEATS = 1000;
/** Groups within groups. */
const MOST_DEPTH = 100;

const DIGITS: readonly CodePoints[] = [[0x30, 0x39]];
const WORD: readonly CodePoints[] = [
  [0x30, 0x39],
  [0x41, 0x5a],
  [0x5f, 0x5f],
  [0x61, 0x7a],
];
const SPACE: readonly CodePoints[] = [
  [9, 13],
  [0x20, 0x20],
  [0xa0, 0xa0],
];
const CLASSES: Readonly<Record<string, readonly CodePoints[]>> = {
  d: DIGITS,
  D: complement(DIGITS),
  w: WORD,
  W: complement(WORD),
  s: SPACE,
  S: complement(SPACE),
};
const CONTROLS: Readonly<Record<string, number>> = { n: 10, r: 13, t: 9, f: 12, v: 11 };
const LINE_END: readonly CodePoints[] = [
  [10, 10],
  [13, 13],
  [0x2028, 0x2029],
];

/**
 * The whole text is to match, with or without ^ and $ around. As in JavaScript with the flag u, without assertions, back
 * references, names and Unicode properties; laziness means nothing where the whole text matches.
 */
export const parseRegularExpression = (pattern: string): Expression => new Parser(pattern).parse();

class Parser {
  readonly #pattern: string;
  readonly #characters: readonly string[];
  #at = 0;
  #depth = 0;

  constructor(pattern: string) {
    this.#pattern = pattern;
    this.#characters = [...pattern.replace(/^\^/, '').replace(/(?<!\\)((?:\\\\)*)\$$/, '$1')];
  }

  parse(): Expression {
    const expression = this.#alternatives();
    if (this.#at < this.#characters.length)
      this.#refuse(`"${this.#characters[this.#at]}" without its beginning`);
    return expression;
  }

  #alternatives(): Expression {
    const parts = [this.#sequence()];
    while (this.#take('|')) parts.push(this.#sequence());
    return parts.length === 1 ? parts[0] : eitherOf(parts);
  }

  #sequence(): Expression {
    const parts: Expression[] = [];
    for (let next = this.#peek(); next !== undefined && next !== '|' && next !== ')'; next = this.#peek()) {
      parts.push(this.#repeated());
    }
    return sequenceOf(parts);
  }

  #repeated(): Expression {
    const part = this.#one();
    const bounds = this.#bounds();
    if (!bounds) return part;
    this.#take('?');
    if (this.#bounds()) this.#refuse('a repetition of a repetition');
    return repeat(part, ...bounds);
  }

  #bounds(): [least: number, most: number] | undefined {
    if (this.#take('*')) return [0, Number.POSITIVE_INFINITY];
    if (this.#take('+')) return [1, Number.POSITIVE_INFINITY];
    if (this.#take('?')) return [0, 1];
    if (!this.#take('{')) return undefined;
    let text = '';
    while (this.#peek() !== undefined && !this.#take('}')) text += this.#next();
    const match = /^(\d{1,6})(,(\d{1,6})?)?$/.exec(text);
    if (!match) return this.#refuse(`{${text}`);
    const least = Number(match[1]);
    let most = least;
    if (match[2] !== undefined) most = match[3] === undefined ? Number.POSITIVE_INFINITY : Number(match[3]);
    const largest = most === Number.POSITIVE_INFINITY ? least : most;
    if (most < least || largest > MOST_REPEATS)
      this.#refuse(`{${text}}: from 0 to ${MOST_REPEATS} repetitions are taken`);
    return [least, most];
  }

  #one(): Expression {
    const character = this.#next();
    switch (character) {
      case '(': {
        if (this.#take('?') && !this.#take(':')) this.#refuse('(?');
        if (++this.#depth > MOST_DEPTH) this.#refuse(`more than ${MOST_DEPTH} groups within each other`);
        const inside = this.#alternatives();
        this.#depth--;
        if (!this.#take(')')) this.#refuse('"(" without its end');
        return inside;
      }
      case '[':
        return ranges(...this.#class());
      case '.':
        return ranges(...complement(LINE_END));
      case '\\':
        return ranges(...this.#escape());
      case '*':
      case '+':
      case '?':
      case '{':
      case '^':
      case '$':
        return this.#refuse(`"${character}" here`);
      default:
        return ranges(only(character));
    }
  }

  #class(): readonly CodePoints[] {
    const negative = this.#take('^');
    const found: CodePoints[] = [];
    while (!this.#take(']')) {
      const first = this.#member();
      const isRange = this.#peek() === '-' && this.#characters[this.#at + 1] !== ']';
      if (!isRange) {
        found.push(...first);
        continue;
      }
      this.#next();
      const last = this.#member();
      const single = (of: readonly CodePoints[]): boolean => of.length === 1 && of[0][0] === of[0][1];
      if (!single(first) || !single(last) || first[0][0] > last[0][0]) this.#refuse('a range that is none');
      found.push([first[0][0], last[0][0]]);
    }
    const all = negative ? complement(found) : found;
    return all.length > 0 ? all : this.#refuse('a class without characters');
  }

  #member(): readonly CodePoints[] {
    const character = this.#next();
    return character === '\\' ? this.#escape() : [only(character)];
  }

  #escape(): readonly CodePoints[] {
    const character = this.#next();
    if (CLASSES[character]) return CLASSES[character];
    if (CONTROLS[character] !== undefined) return [[CONTROLS[character], CONTROLS[character]]];
    if (character === 'x' || character === 'u') {
      const digits = character === 'x' ? 2 : 4;
      const text = this.#characters.slice(this.#at, this.#at + digits).join('');
      if (!new RegExp(`^[\\da-f]{${digits}}$`, 'i').test(text)) this.#refuse(`\\${character}${text}`);
      this.#at += digits;
      const code = Number.parseInt(text, 16);
      return [[code, code]];
    }
    return /[\p{L}\d]/u.test(character) ? this.#refuse(`\\${character}`) : [only(character)];
  }

  #peek(): string | undefined {
    return this.#characters[this.#at];
  }

  #take(character: string): boolean {
    if (this.#peek() !== character) return false;
    this.#at++;
    return true;
  }

  #next(): string {
    return this.#characters[this.#at++] ?? this.#refuse('an end in the middle');
  }

  #refuse(found: string): never {
    throw new XlstmError(
      'usage',
      `regular expression "${oneLine(this.#pattern)}": found ${found}, which is not taken`,
      'It has characters, classes, groups, |, *, +, ? and {n,m}.',
    );
  }
}

function only(character: string): CodePoints {
  const code = character.codePointAt(0) as number;
  return [code, code];
}
