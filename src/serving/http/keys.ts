import { Failure } from './failure.ts';

/**
 * Throws a Failure unless the header carries one of the keys. Digests are compared, all of every key's, so that the time
 * it takes says nothing of a key.
 */
export async function checkKey(keys: readonly string[], header: string | undefined): Promise<void> {
  if (keys.length === 0) return;
  const given = await digest(/^Bearer (.+)$/i.exec(header ?? '')?.[1] ?? '');
  let found = false;
  for (const key of keys) if (same(given, await digest(key))) found = true;
  if (!found) throw new Failure(401, 'expected an API key of this server', { code: 'invalid_api_key' });
}

const digest = async (text: string): Promise<Uint8Array> =>
  new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text)));

function same(a: Uint8Array, b: Uint8Array): boolean {
  let difference = 0;
  for (let i = 0; i < a.length; i++) difference |= a[i] ^ b[i];
  return difference === 0;
}
