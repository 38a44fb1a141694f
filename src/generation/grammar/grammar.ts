import { checkOption } from '../../checks.ts';
import { startToken, type Tokenizer } from '../../data/tokenizer.ts';
import { XlstmError } from '../../errors.ts';
import { Automaton, DEAD } from './automaton.ts';
import type { Expression } from './expression.ts';
import { anyObjectExpression, schemaExpression } from './json_schema.ts';
import { parseRegularExpression } from './regular_expression.ts';

/** So low that no token of it is ever drawn beside another, and still a number that sampling computes with. */
const NEVER = -1e30;

interface Vocabulary {
  /** The bytes of each token; undefined for those that are no text. */
  readonly bytes: readonly (Uint8Array | undefined)[];
  readonly ends: readonly number[];
  /** The tokens that may follow, by the state: 1 where one may. */
  readonly allowed: Map<number, Uint8Array>;
}

/** What a model may write: all else is never drawn, so that what it writes can be read by a program. */
export class Grammar {
  readonly #automaton: Automaton;
  readonly #vocabularies = new WeakMap<Tokenizer, Vocabulary>();

  private constructor(expression: Expression) {
    this.#automaton = new Automaton(expression);
  }

  /**
   * Texts that match a regular expression from their beginning to their end: characters, classes, groups, |, *, +, ? and
   * {n,m}. Throws a usage error for what else it holds.
   */
  static regex(pattern: string): Grammar {
    checkOption(typeof pattern === 'string', 'regex', 'a text', pattern);
    return new Grammar(parseRegularExpression(pattern));
  }

  /**
   * JSON without blanks that a JSON Schema describes, the properties of objects in its order and no others. Throws a usage
   * error, which names the place, for a keyword that it would not keep to.
   */
  static jsonSchema(schema: unknown): Grammar {
    return new Grammar(schemaExpression(schema));
  }

  /** JSON without blanks: an object of any names and values, six within each other at most. */
  static jsonObject(): Grammar {
    return new Grammar(anyObjectExpression());
  }

  /** For one text of a model with this tokenizer. */
  begin(tokenizer: Tokenizer): GrammarCursor {
    let vocabulary = this.#vocabularies.get(tokenizer);
    if (!vocabulary) {
      vocabulary = vocabularyOf(tokenizer);
      this.#vocabularies.set(tokenizer, vocabulary);
    }
    return new Cursor(this.#automaton, vocabulary);
  }
}

/** Where a text is in its grammar. */
export interface GrammarCursor {
  /** Whether nothing can follow. */
  readonly complete: boolean;
  /** The logits, those of tokens that cannot follow so low that they are not drawn. */
  masked(logits: Float32Array | Float64Array): Float32Array | Float64Array;
  /** A token that was drawn. */
  push(id: number): void;
}

class Cursor implements GrammarCursor {
  readonly #automaton: Automaton;
  readonly #vocabulary: Vocabulary;
  #state = 0;

  constructor(automaton: Automaton, vocabulary: Vocabulary) {
    this.#automaton = automaton;
    this.#vocabulary = vocabulary;
  }

  get complete(): boolean {
    return this.#automaton.ends(this.#state) && this.#automaton.final(this.#state);
  }

  masked(logits: Float32Array | Float64Array): Float32Array | Float64Array {
    const allowed = this.#allowed();
    const masked = logits.slice();
    for (let id = 0; id < allowed.length; id++) {
      // What is no number is left for the sampler to find.
      if (allowed[id] === 0 && Number.isFinite(masked[id])) masked[id] = NEVER;
    }
    return masked;
  }

  push(id: number): void {
    for (const byte of this.#vocabulary.bytes[id] ?? [])
      this.#state = this.#automaton.after(this.#state, byte);
  }

  #allowed(): Uint8Array {
    const { bytes, ends, allowed } = this.#vocabulary;
    let tokens = allowed.get(this.#state);
    if (!tokens) {
      tokens = Uint8Array.from(bytes, (each) => (each && this.#takes(each) ? 1 : 0));
      if (this.#automaton.ends(this.#state)) for (const id of ends) tokens[id] = 1;
      if (!tokens.includes(1)) {
        throw new XlstmError(
          'data',
          'grammar: the tokenizer has no token for what must follow',
          'Give a grammar of characters that it knows.',
        );
      }
      allowed.set(this.#state, tokens);
    }
    return tokens;
  }

  #takes(bytes: Uint8Array): boolean {
    let state = this.#state;
    for (const byte of bytes) {
      state = this.#automaton.after(state, byte);
      if (state === DEAD) return false;
    }
    return bytes.length > 0;
  }
}

function vocabularyOf(tokenizer: Tokenizer): Vocabulary {
  const start = startToken(tokenizer);
  const ends = new Set([...(tokenizer.ends ?? []), ...(start === undefined ? [] : [start])]);
  const specials = new Set([...tokenizer.specials.values(), ...ends]);
  const bytes = Array.from({ length: tokenizer.vocabSize }, (_, id) =>
    specials.has(id) ? undefined : bytesOf(tokenizer, id),
  );
  return { bytes, ends: [...ends], allowed: new Map() };
}

/** What a token adds to a text; undefined where that depends on what came before. */
function bytesOf(tokenizer: Tokenizer, id: number): Uint8Array | undefined {
  const { decodeBytes } = tokenizer as { decodeBytes?: (ids: readonly number[]) => Uint8Array };
  if (decodeBytes) return decodeBytes.call(tokenizer, [id]);
  const text = tokenizer.decode([id]);
  return text.includes('\uFFFD') ? undefined : new TextEncoder().encode(text);
}
