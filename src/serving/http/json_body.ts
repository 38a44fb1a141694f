import { type JsonLimits, parseJson } from '../../json.ts';
import { oneLine } from '../../quote.ts';
import { Failure } from './failure.ts';

const JSON_TYPE = /^application\/json\b/i;

/** Its length is bounded before it is read; 32 schemas within each other are half as many levels. */
const LIMITS: JsonLimits = { bytes: Number.POSITIVE_INFINITY, depth: 128 };

/** The body of a request. Throws a Failure where it is no JSON. */
export async function jsonOf(request: Request): Promise<unknown> {
  if (!JSON_TYPE.test(request.headers.get('content-type') ?? '')) {
    throw new Failure(415, 'the content-type: expected application/json');
  }
  const encoding = request.headers.get('content-encoding') ?? 'identity';
  if (encoding !== 'identity') {
    throw new Failure(415, `the content-encoding: expected none, found ${oneLine(encoding)}`);
  }
  return parseJson(new Uint8Array(await request.arrayBuffer()), 'the body', 'data', LIMITS);
}

export function tooLarge(most: number): never {
  throw new Failure(413, `the body: expected at most ${most} bytes`);
}
