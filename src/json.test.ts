import { describe, expect, it } from 'vitest';
import { XlstmError } from './errors.ts';
import { parseJson } from './json.ts';
import { utf8 } from './testing/mutate.ts';

const read = (text: string): unknown => parseJson(utf8(text), 'a.json', 'config');

describe('JSON of foreign origin', () => {
  it('is read with a byte order mark before it and without', () => {
    for (const text of ['{"a":[1,"]}\\"["]}', '\ufeff{"a":[1,"]}\\"["]}']) {
      expect(read(text)).toEqual({ a: [1, ']}"['] });
    }
  });

  it.each<[string, Uint8Array, RegExp]>([
    ['nothing', utf8(''), /^a\.json: expected JSON: Unexpected end/],
    [
      'other text',
      utf8('a\nb\u001b'),
      /^a\.json: expected JSON: Unexpected token .*a\\u\{000a\}b\\u\{001b\}/,
    ],
    ['bytes that are no text', Uint8Array.of(0x22, 0xff, 0x22), /found bytes that are no UTF-8/],
    ['zero bytes behind it', utf8('{}\0\0'), /expected JSON: Unexpected/],
    ['33 levels', utf8('['.repeat(33)), /at most 32 levels of nesting, found more/],
    ['very many levels', utf8('{"a":'.repeat(1e5)), /at most 32 levels of nesting, found more/],
    ['more than a document', new Uint8Array(2 ** 20 + 1), /at most 1048576 bytes, found 1048577/],
  ])('is refused: %s', (_, bytes, pattern) => {
    expect(() => parseJson(bytes, 'a.json', 'config')).toThrow(XlstmError);
    expect(() => parseJson(bytes, 'a.json', 'config')).toThrow(pattern);
  });

  it('may have brackets in its texts, and 32 levels', () => {
    expect(read(`"${'['.repeat(100)}"`)).toBe('['.repeat(100));
    expect(read(`${'['.repeat(32)}${']'.repeat(32)}`)).toBeInstanceOf(Array);
  });
});
