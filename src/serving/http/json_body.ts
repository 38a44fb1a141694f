import { Failure } from './failure.ts';

const JSON_TYPE = /^application\/json\b/i;

/** The body of a request. Throws a Failure where it is no JSON. */
export async function jsonOf(request: Request): Promise<unknown> {
  if (!JSON_TYPE.test(request.headers.get('content-type') ?? '')) {
    throw new Failure(415, 'the content-type: expected application/json');
  }
  const text = await request.text();
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw new Failure(400, 'the body: expected JSON');
  }
}

export function tooLarge(most: number): never {
  throw new Failure(413, `the body: expected at most ${most} bytes`);
}
