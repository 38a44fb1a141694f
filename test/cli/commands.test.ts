import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { TINY, workplace } from './command.ts';

const { path, xlstm } = workplace();
const golden = (name: string): string => fileURLToPath(new URL(`../golden/${name}`, import.meta.url));

/** What a command prints with --json. */
async function json(args: readonly string[]): Promise<Record<string, unknown>> {
  const { code, stdout, stderr } = await xlstm([...args, '--json']);
  expect(code, stderr).toBe(0);
  return JSON.parse(stdout);
}

let trained: Record<string, unknown>;
beforeAll(async () => {
  const options = ['--steps', '200', '--sample', '20', '--prompt', 'The white', '--out', 'run'];
  trained = await json(['train', ...TINY, ...options]);
});

it('train --json prints the result', () => {
  expect(trained).toMatchObject({ folder: 'run', steps: 200, sample: expect.stringMatching(/^The white/) });
  expect(trained.validationLoss).toBeGreaterThan(0);
  expect(trained.validationLoss).toBeLessThan(3);
  expect(trained.bitsPerByte).toBeCloseTo(Number(trained.validationLoss) / Math.LN2, 10);
});

describe('generate', () => {
  it('writes the same text for the same seed, and the prompt first', async () => {
    const args = ['generate', 'run', '--prompt', 'The white ', '--max-tokens', '30', '--seed', '5'];
    const first = await json(args);
    expect(first).toMatchObject({ prompt: 'The white ', tokens: 30, seed: 5 });
    expect(first.text).toHaveLength(30);
    expect((await json(args)).text).toBe(first.text);
    expect((await xlstm(args)).stdout).toBe(`The white ${first.text}\n`);
    expect((await json([...args.slice(0, -1), '6'])).text).not.toBe(first.text);
  });
  it('reads a prompt from a file and ends before a stop text', async () => {
    await writeFile(path('prompt.txt'), 'The white whale swims in the ');
    const args = [
      'generate',
      'run',
      '--prompt-file',
      'prompt.txt',
      '--temperature',
      '0',
      '--max-tokens',
      '60',
    ];
    const { text } = await json(args);
    const stop = String(text).slice(10, 13);
    const stopped = await json([...args, '--stop', stop]);
    expect(stopped.text).toBe(String(text).slice(0, String(text).indexOf(stop)));
  });
});

it('eval measures each text and all of them', async () => {
  await writeFile(path('other.txt'), 'Call me Ishmael. '.repeat(8));
  const { texts, ...all } = await json(['eval', 'run', 'text.txt', 'other.txt']);
  const [one, other] = texts as { name: string; tokens: number; loss: number; perplexity: number }[];
  expect([one.name, other.name]).toEqual(['text.txt', 'other.txt']);
  expect(one.tokens).toBe((await readFile(path('text.txt'))).length - 1);
  expect(one.loss).toBeLessThan(Number(trained.validationLoss)); // most of it was trained on
  expect(other.loss).toBeGreaterThan(one.loss + 1); // another text than it learned
  expect(one.perplexity).toBeCloseTo(Math.exp(one.loss), 8);
  const tokens = one.tokens + other.tokens;
  expect(all).toMatchObject({ tokens });
  expect(all.loss).toBeCloseTo((one.loss * one.tokens + other.loss * other.tokens) / tokens, 10);
  const table = await xlstm(['eval', 'run', 'text.txt', 'other.txt']);
  expect(table.stdout).toMatch(/text\.txt[\s\S]*other\.txt[\s\S]*all/);
});

it('inspect counts parameters and state', async () => {
  const facts = await json(['inspect', 'run']);
  expect(facts.parameters).toBe(trained.parameters);
  const layers = facts.layers as { name: string; kind: string; parameters: number; stateBytes: number }[];
  const named = Object.fromEntries(layers.map(({ name, ...layer }) => [name, layer]));
  expect(named.token_embedding.parameters).toBe(256 * 16);
  expect([named['blocks.0'].kind, named['blocks.1'].kind]).toEqual(['mLSTM', 'sLSTM']);
  expect(layers.reduce((sum, { parameters }) => sum + parameters, 0)).toBe(facts.parameters);
  expect(layers.reduce((sum, { stateBytes }) => sum + stateBytes, 0)).toBe(facts.stateBytes);
});

it('verify passes on golden vectors and fails where a number is off', async () => {
  const source = golden('lm_slstm.safetensors');
  const result = await json(['verify', source, '--engine', 'wasm', '--threads', '2']);
  expect(result).toMatchObject({ passed: true, engine: { name: 'wasm', threads: 2 } });
  const bytes = await readFile(source);
  const length = Number(bytes.readBigUInt64LE());
  const [begin] = JSON.parse(bytes.toString('utf8', 8, 8 + length)).loss.data_offsets;
  bytes.writeFloatLE(bytes.readFloatLE(8 + length + begin) + 0.01, 8 + length + begin);
  await writeFile(path('off.safetensors'), bytes);
  const { code, stdout } = await xlstm(['verify', 'off.safetensors']);
  expect(code).toBe(1);
  expect(stdout).toMatch(/loss.*OVER/);
  expect(stdout).toMatch(/failed: 1 of \d+ tensors/);
});

it('doctor says which engines there are and which is taken', async () => {
  const { engines, choice } = await json(['doctor']);
  const found = engines as { name: string; present: boolean; detail: string; hint?: string }[];
  expect(found.map(({ name }) => name)).toEqual(['native', 'wasm', 'reference']);
  expect(found[1].present).toBe(true);
  expect(choice).toMatchObject({ engine: found[0].present ? 'native' : 'wasm' });
  for (const { present, hint } of found) if (!present) expect(hint).toBeTruthy();
});

it.each(['train', 'generate', 'eval', 'inspect', 'verify', 'doctor', 'bench'])(
  '%s --help',
  async (command) => {
    const { code, stdout } = await xlstm([command, '--help']);
    expect(code).toBe(0);
    expect(stdout).toMatch(new RegExp(`^Usage: xlstm ${command}`));
  },
);
