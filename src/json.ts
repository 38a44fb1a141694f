import { type ErrorCode, XlstmError } from './errors.ts';
import { oneLine } from './quote.ts';

export interface JsonLimits {
  /** Longer texts are refused unread. */
  readonly bytes: number;
  /** Objects and lists within each other. */
  readonly depth: number;
}

/** Configurations, descriptions and records: far more than any of them needs. */
export const DOCUMENT_LIMITS: JsonLimits = { bytes: 2 ** 20, depth: 32 };

const [QUOTE, BACKSLASH, OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT] = new TextEncoder().encode(
  '"\\[]{}',
);

/**
 * JSON of foreign origin in UTF-8, a byte order mark before it or none. Nesting and length are bounded before anything
 * is built: a value takes many times the bytes of an opening bracket. `source` names the text in errors, which have
 * the code given.
 */
export function parseJson(
  content: Uint8Array,
  source: string,
  code: ErrorCode,
  limits: JsonLimits = DOCUMENT_LIMITS,
): unknown {
  const fail = (problem: string): never => {
    throw new XlstmError(code, `${source}: expected JSON: ${problem}`);
  };
  if (content.length > limits.bytes) {
    fail(`at most ${limits.bytes} bytes, found ${content.length}`);
  }
  if (isDeeper(content, limits.depth)) fail(`at most ${limits.depth} levels of nesting, found more`);
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(content);
  } catch {
    return fail('found bytes that are no UTF-8');
  }
  try {
    return JSON.parse(text);
  } catch (error) {
    return fail(oneLine((error as Error).message, 160));
  }
}

function isDeeper(content: Uint8Array, limit: number): boolean {
  let depth = 0;
  let inText = false;
  for (let i = 0; i < content.length; i++) {
    const byte = content[i];
    if (inText) {
      if (byte === BACKSLASH) i++;
      else if (byte === QUOTE) inText = false;
    } else if (byte === QUOTE) {
      inText = true;
    } else if (byte === OPEN_LIST || byte === OPEN_OBJECT) {
      if (++depth > limit) return true;
    } else if (byte === CLOSE_LIST || byte === CLOSE_OBJECT) {
      depth--;
    }
  }
  return false;
}
