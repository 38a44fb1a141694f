import { describe, expect, it } from 'vitest';
import { parseJson } from '../json.ts';
import { checkReader, expectFrugal, outcome } from '../testing/foreign.ts';
import { mutatedJsonBytes, utf8 } from '../testing/mutate.ts';
import type { Tokenizer } from './tokenizer.ts';
import { createTokenizer } from './tokenizer_registry.ts';

const SOURCE = 'tokenizer.json';
const read = (bytes: Uint8Array): Tokenizer => createTokenizer(parseJson(bytes, SOURCE, 'config'), SOURCE);

const FILES = [
  { type: 'byte', specials: [] },
  { type: 'byte', specials: ['<|document|>'] },
  { type: 'byte', specials: ['<|document|>', 'é', 'b'] },
];

/** Ids are dense, names are told apart, and what is stored rebuilds the same tokenizer. */
function checkSound(tokenizer: Tokenizer): void {
  const { specials, vocabSize } = tokenizer;
  expect(vocabSize).toBe(256 + specials.size);
  let id = 256;
  for (const [name, own] of specials) {
    expect(own).toBe(id++);
    expect(name).not.toBe('');
    expect(tokenizer.decode([65, own, 66])).toBe(`A${name}B`);
  }
  expect(tokenizer.decode(tokenizer.encode('aé😀'))).toBe('aé😀');
  expect(outcome('token ids', () => tokenizer.decode([vocabSize]))).toHaveProperty('error');
  const again = createTokenizer(JSON.parse(JSON.stringify(tokenizer)), SOURCE);
  expect([...again.specials]).toEqual([...specials]);
}

describe('tokenizer.json of foreign origin', { timeout: 300_000 }, () => {
  it('is a tokenizer or one clear error', () => {
    checkReader(mutatedJsonBytes(FILES), SOURCE, read, checkSound);
  });

  it.each<[string, string]>([
    ['names that repeat', `{"type":"byte","specials":["a"${',"a"'.repeat(30_000)}]}`],
    ['a name of its length', `{"type":"byte","specials":["${'n'.repeat(200_000)}",""]}`],
    ['a list that says how long it is', '{"type":"byte","specials":{"length":4294967295}}'],
    ['nesting', `{"type":"byte","specials":${'['.repeat(200_000)}`],
  ])('takes memory by its bytes, not by what it claims: %s', (_, text) => {
    const bytes = utf8(text);
    expectFrugal(SOURCE, bytes.length, () => read(bytes));
  });
});
