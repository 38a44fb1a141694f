import { describe, expect, it } from 'vitest';
import { parseJson } from '../../json.ts';
import { Parameters, Scope } from '../../nn/parameters.ts';
import { checkReader, expectFrugal, outcome } from '../../testing/foreign.ts';
import { mutatedJsonBytes, utf8 } from '../../testing/mutate.ts';
import {
  blocksFromNotation,
  feedForwardDim,
  formatConfig,
  type LanguageModelConfig,
  languageModelConfig,
  mlstmInnerDim,
  parseConfig,
} from './config.ts';
import { XlstmLanguageModel } from './language_model.ts';

const SOURCE = 'config.json';
const read = (bytes: Uint8Array): LanguageModelConfig =>
  parseConfig(parseJson(bytes, SOURCE, 'config'), SOURCE);

const official = formatConfig(
  languageModelConfig({ vocabSize: 65, embeddingDim: 32, numBlocks: 3, slstmAt: [1], numHeads: 2 }),
);
const FILES = [
  official,
  { ...official, _num_blocks: 3, mlstm_block: { mlstm: { num_heads: 2, dropout: 0, embedding_dim: 32 } } },
  formatConfig(languageModelConfig({ vocabSize: 11, embeddingDim: 16, slstmAt: 'all' })),
  { vocab_size: 50, embedding_dim: 16, num_blocks: 2, slstm_at: [0], num_heads: 2, slstm_ffn_act: 'gelu' },
];

/** Every number is one that a model can be built with. */
function checkSound(config: LanguageModelConfig): void {
  expect(parseConfig(formatConfig(config), SOURCE)).toEqual(config);
  const inside = config.slstmAt === 'all' ? config.numBlocks : config.slstmAt.length;
  const sizes = [config.vocabSize, config.embeddingDim, config.numBlocks];
  if (inside < config.numBlocks) sizes.push(mlstmInnerDim(config), config.mlstm.numHeads);
  if (inside > 0) sizes.push(feedForwardDim(config), config.slstm.numHeads);
  for (const size of sizes) {
    expect(Number.isSafeInteger(size) && size > 0 && size <= 2 ** 24).toBe(true);
  }
  if (config.slstmAt !== 'all')
    for (const block of config.slstmAt) expect(block).toBeLessThan(config.numBlocks);
}

describe('config.json of foreign origin', { timeout: 300_000 }, () => {
  it('is a configuration or one clear error', () => {
    checkReader(mutatedJsonBytes(FILES), SOURCE, read, checkSound);
  });

  const changed = (key: string, value: unknown): Uint8Array =>
    utf8(JSON.stringify({ ...official, [key]: value }));
  it.each<[string, Uint8Array]>([
    ['2^53 − 1 tokens', changed('vocab_size', 2 ** 53 - 1)],
    ['2^40 wide', changed('embedding_dim', 2 ** 40)],
    ['10^9 blocks', changed('num_blocks', 1e9)],
    ['every block of 10^9', utf8('{"vocab_size": 9, "num_blocks": 1e9, "slstm_at": "all"}')],
    ['an infinite factor', utf8('{"vocab_size": 9, "mlstm_proj_factor": 1e400}')],
    ['a vast factor', utf8('{"vocab_size": 9, "mlstm_proj_factor": 1e308}')],
    ['nesting', utf8(`{"vocab_size":${'['.repeat(100_000)}${']'.repeat(100_000)}}`)],
    ['a list of very many blocks', changed('slstm_at', Array(50_000).fill(1))],
    ['a long key', changed('k'.repeat(100_000), 1)],
    ['a long text', changed('vocab_size', 't'.repeat(100_000))],
  ])('takes memory by its bytes, not by what it claims: %s', (_, bytes) => {
    expectFrugal(SOURCE, bytes.length, () => read(bytes));
  });

  it('that is taken describes a network that is laid out at once', () => {
    const wide = read(changed('vocab_size', 2 ** 24));
    const deep = read(utf8('{"vocab_size": 9, "num_blocks": 4096, "slstm_at": [7]}'));
    for (const config of [wide, deep]) {
      const parameters = new Parameters();
      new XlstmLanguageModel(new Scope(parameters), config);
      expect(parameters.list.length).toBeGreaterThan(10);
    }
  });

  it.each([
    Number.NaN,
    0.5,
    0,
    -1,
    4097,
    2 ** 32,
    2 ** 53 - 1,
    Number.POSITIVE_INFINITY,
    '8' as unknown as number,
  ])('the notation of a ratio is for a number of blocks that can be: %s', (blocks) => {
    const { error } = outcome('number of blocks', () => blocksFromNotation('[1:1]', blocks)) as {
      error: Error;
    };
    expect(error.message).toMatch(/expected a whole number from 1 to 4096/);
  });
});
