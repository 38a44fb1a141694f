import { checkOption } from '../../checks.ts';
import type { Tokenizer } from '../../data/tokenizer.ts';
import { XlstmError } from '../../errors.ts';
import { Automaton } from './automaton.ts';
import type { Expression } from './expression.ts';
import { anyObjectExpression, schemaExpression } from './json_schema.ts';
import { parseRegularExpression } from './regular_expression.ts';
import { Vocabulary } from './vocabulary.ts';

/** So low that no token of it is ever drawn beside another, and still a number that sampling computes with. */
const NEVER = -1e30;

/** Bytes of what is remembered of which tokens may follow, of one grammar and tokenizer. */
const MOST_REMEMBERED = 2 ** 23;

/** What a model may write: all else is never drawn, so that what it writes can be read by a program. */
export class Grammar {
  readonly #automaton: Automaton;
  /** The tokens that may follow, by the state. */
  readonly #allowed = new WeakMap<Vocabulary, Map<number, Uint8Array>>();

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
    const vocabulary = Vocabulary.of(tokenizer);
    let allowed = this.#allowed.get(vocabulary);
    if (!allowed) {
      allowed = new Map();
      this.#allowed.set(vocabulary, allowed);
    }
    return new Cursor(this.#automaton, vocabulary, allowed);
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
  readonly #known: Map<number, Uint8Array>;
  #state = 0;

  constructor(automaton: Automaton, vocabulary: Vocabulary, known: Map<number, Uint8Array>) {
    this.#automaton = automaton;
    this.#vocabulary = vocabulary;
    this.#known = known;
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
    for (const byte of this.#vocabulary.bytes(id)) this.#state = this.#automaton.after(this.#state, byte);
  }

  #allowed(): Uint8Array {
    let tokens = this.#known.get(this.#state);
    if (!tokens) {
      tokens = this.#vocabulary.taken(this.#automaton, this.#state);
      if (this.#automaton.ends(this.#state)) for (const id of this.#vocabulary.ends) tokens[id] = 1;
      if (!tokens.includes(1)) {
        throw new XlstmError(
          'data',
          'grammar: the tokenizer has no token for what must follow',
          'Give a grammar of characters that it knows.',
        );
      }
      if ((this.#known.size + 1) * tokens.length > MOST_REMEMBERED) this.#known.clear();
      this.#known.set(this.#state, tokens);
    }
    return tokens;
  }
}
