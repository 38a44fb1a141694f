import { readFile, writeFile } from 'node:fs/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import { TINY, tinyOn, workplace } from './command.ts';

const { path, xlstm } = workplace();

async function run(args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await xlstm(args);
  expect(code, stderr).toBe(0);
  return stdout;
}

async function refused(args: readonly string[]): Promise<string> {
  const { code, stderr } = await xlstm(args);
  expect(code).not.toBe(0);
  return stderr;
}

/** Of `xlstm eval --json`. */
interface Measures {
  readonly tokens: number;
  readonly bytes: number;
  readonly loss: number;
}
const measured = async (...args: string[]): Promise<Measures> =>
  JSON.parse(await run(['eval', ...args, '--json']));

beforeAll(async () => {
  await writeFile(path('long.txt'), 'Some say the world will end in fire, some say in ice… \n'.repeat(400));
  const steps = ['--steps', '2'];
  await run(['train', ...TINY, '--documents', ...steps, '--out', 'bytes']);
  await run(['train', ...tinyOn('long.txt'), '--tokenizer', 'bpe:280', ...steps, '--out', 'subwords']);
  await run(['tokenize', 'long.txt', '--tokenizer', 'bytes', '--out', 'bytes.tokens']);
  await run(['tokenize', 'long.txt', '--tokenizer', 'subwords', '--out', 'subwords.tokens']);
});

describe('xlstm eval', () => {
  it.each(['bytes', 'subwords'])('measures token files as their texts: %s', async (model) => {
    const [text, tokens] = await Promise.all(
      ['long.txt', `${model}.tokens`].map((each) => measured(model, each)),
    );
    expect(tokens.tokens).toBe(text.tokens);
    expect(tokens.loss).toBe(text.loss);
    // What is not predicted of subwords is a first token, whose bytes the text does not tell.
    expect(Math.abs(tokens.bytes - text.bytes)).toBeLessThan(model === 'bytes' ? 1e-6 : 8);
    const cap = ['--evaluation-tokens', '2000'];
    const [some, same] = await Promise.all(
      ['long.txt', `${model}.tokens`].map((each) => measured(model, each, ...cap)),
    );
    expect(some).toMatchObject({ tokens: same.tokens, bytes: same.bytes, loss: same.loss });
    expect(some.tokens).toBeLessThanOrEqual(2000);
    expect(some.tokens).toBeGreaterThan(1900);
    expect(some.bytes / some.tokens).toBeCloseTo(text.bytes / text.tokens, 0);
    expect(Math.abs(some.loss - text.loss)).toBeLessThan(0.05);
  });

  it('takes a field of records, each of which is a text', async () => {
    await writeFile(path('a.jsonl'), '{"body": "Call me Ishmael."}\n{"body": "Some years ago"}\n');
    const found = await measured('bytes', 'a.jsonl', '--field', 'body');
    expect(found).toMatchObject({
      tokens: 30,
      bytes: 30,
      texts: [{ name: 'a.jsonl:1' }, { name: 'a.jsonl:2' }],
    });
    expect(await refused(['eval', 'bytes', 'a.jsonl'])).toMatch(
      /a\.jsonl: line 1: expected a field "text", found "body"/,
    );
    const lines = await run(['eval', 'bytes', 'a.jsonl', '--field', 'body', '--per-token', '--json']);
    expect(lines.trim().split('\n')).toHaveLength(32);
  });

  it('refuses token files of another tokenizer, and what it has no use for', async () => {
    expect(await refused(['eval', 'bytes', 'subwords.tokens'])).toMatch(
      /subwords\.tokens: its tokens are of another tokenizer: one of 280 tokens/,
    );
    expect(await refused(['eval', 'bytes', 'bytes.tokens', '--per-token'])).toMatch(
      /--per-token: expected texts, found token files/,
    );
    expect(await refused(['eval', 'bytes', 'long.txt', '--per-token', '--evaluation-tokens', '5'])).toMatch(
      /--evaluation-tokens: with --per-token all of a text is read/,
    );
  });
});

describe('xlstm inspect', () => {
  it('says what a token file holds, and compares it with its digest', async () => {
    const said = await run(['inspect', 'bytes.tokens']);
    expect(said).toMatch(/^tokens {6}22,801, u16$/m);
    expect(said).toMatch(/^documents {3}1, of 22,801 tokens on average$/m);
    expect(said).toMatch(/^tokenizer {3}bytes, 257 tokens, 256 starts documents; digest [0-9a-f]{12}$/m);
    expect(said).toMatch(/^digest {6}[0-9a-f]{12} \(compare: --verify\)$/m);
    expect(await run(['inspect', 'subwords.tokens', '--verify'])).toMatch(
      /^tokenizer {3}subwords, 280 tokens, none of them starts documents.*\ndigest .*, that of what the file holds$/m,
    );
    expect(JSON.parse(await run(['inspect', 'bytes.tokens', '--json']))).toMatchObject({
      tokens: 22_801,
      documents: 1,
      tokenizer: { type: 'byte', start: 256 },
      verified: false,
    });
  });

  it('finds a token that was changed', async () => {
    const bytes = await readFile(path('bytes.tokens'));
    bytes[1000]++;
    await writeFile(path('changed.tokens'), bytes);
    await run(['inspect', 'changed.tokens']);
    expect(await refused(['inspect', 'changed.tokens', '--verify'])).toMatch(
      /^error: changed\.tokens: the token file is damaged: its content is not that of its digest\n.*xlstm tokenize/,
    );
    expect(await refused(['inspect', 'bytes', '--verify'])).toMatch(/--verify: expected a token file/);
  });
});
