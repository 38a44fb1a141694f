import { XlstmError } from '../../errors.ts';
import { Grammar } from '../../generation/grammar/grammar.ts';
import { Failure } from './failure.ts';
import type { ResponseFormat } from './requests.ts';

/** Grammars that are kept, so that what is asked again and again is compiled once. */
const MOST_KEPT = 32;

/** The grammars of response formats, those used last at the end. */
export class ResponseFormats {
  readonly #known = new Map<string, Grammar>();

  /** What an answer may be; undefined: anything. Throws a Failure for a schema that would not be kept to. */
  grammar(format: ResponseFormat | null | undefined): Grammar | undefined {
    if (!format || format.type === 'text') return undefined;
    const key = JSON.stringify(format.type === 'json_schema' ? format.json_schema.schema : format.type);
    const grammar = this.#known.get(key) ?? compiled(format);
    this.#known.delete(key);
    this.#known.set(key, grammar);
    if (this.#known.size > MOST_KEPT) this.#known.delete(this.#known.keys().next().value as string);
    return grammar;
  }
}

function compiled(format: Exclude<ResponseFormat, { type: 'text' }>): Grammar {
  if (format.type === 'json_object') return Grammar.jsonObject();
  try {
    return Grammar.jsonSchema(format.json_schema.schema);
  } catch (error) {
    if (!(error instanceof XlstmError)) throw error;
    throw new Failure(400, `response_format: ${error.message}${error.hint ? `. ${error.hint}` : ''}`, {
      param: 'response_format',
    });
  }
}
