import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { loadTextModel, saveCheckpoint } from '../../src/checkpoints/checkpoint_folder.ts';
import { parseSafetensors, writeSafetensors } from '../../src/checkpoints/safetensors.ts';
import { createReferenceEngine } from '../../src/compute/engines/reference/engine.ts';
import { createWasmEngine } from '../../src/compute/engines/wasm/engine.ts';
import { ByteTokenizer, DOCUMENT, encodeDocuments } from '../../src/data/tokenizer.ts';
import { createModel } from '../../src/models/create_model.ts';
import { readDesign } from '../../src/models/registry.ts';
import type { Network } from '../../src/nn/layer.ts';
import { Model } from '../../src/nn/model.ts';
import { Evaluator } from '../../src/training/evaluate.ts';
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
  const config = { vocabSize: 257, embeddingDim: 16, numBlocks: 2, slstmAt: [1] };
  const engine = createReferenceEngine();
  const random = createModel(engine, config);
  const save = (name: string, model: Model<Network>, tokenizer: ByteTokenizer) =>
    saveCheckpoint(path(name), { model, tokenizer });
  await save('zero', Model.empty(engine, readDesign(config, 'the test')), new ByteTokenizer());
  await save('random', random, new ByteTokenizer());
  await save('documents', random, new ByteTokenizer([DOCUMENT]));
  const options = ['--steps', '200', '--sample', '20', '--prompt', 'The white', '--out', 'run'];
  trained = await json(['train', ...TINY, ...options]);
});

describe('xlstm', () => {
  it('prints its version', async () => {
    const { version } = JSON.parse(
      await readFile(fileURLToPath(new URL('../../package.json', import.meta.url)), 'utf8'),
    );
    expect(await xlstm(['--version'])).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' });
  });

  const commands = ['train', 'generate', 'eval', 'inspect', 'verify', 'doctor', 'bench', 'arena'];
  it('names every command in its help', async () => {
    const { stdout } = await xlstm(['--help']);
    for (const command of commands) expect(stdout).toMatch(new RegExp(`^  ${command} `, 'm'));
  });
  it.each(commands)('%s --help', async (command) => {
    const { code, stdout } = await xlstm([command, '--help']);
    expect(code).toBe(0);
    expect(stdout).toMatch(new RegExp(`^Usage: xlstm ${command} `));
    if (command !== 'bench') expect(stdout).toMatch(/^Examples:\n {2}xlstm /m);
  });
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
    const greedy = ['--prompt-file', 'prompt.txt', '--temperature', '0', '--max-tokens', '60'];
    const { text } = await json(['generate', 'run', ...greedy]);
    const stop = String(text).slice(10, 13);
    const stopped = await json(['generate', 'run', ...greedy, '--stop', stop]);
    expect(stopped.text).toBe(String(text).slice(0, String(text).indexOf(stop)));
  });
});

describe('eval', () => {
  it('measures each text and all of them', async () => {
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

  it.each(['random', 'documents'])('tells the log-probability of each token and line: %s', async (model) => {
    const text = 'Call me\nIshmael. 🐋\n\nOr é';
    await writeFile(path('lines.txt'), text);
    const { stdout } = await xlstm(['eval', model, 'lines.txt', '--per-token', '--json']);
    const printed = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    const tokens = printed.filter((each) => 'token' in each);
    const lines = printed.filter((each) => 'tokens' in each);
    expect(tokens.map((each) => each.token)).toEqual([...Buffer.from(text)]);
    expect(tokens.map((each) => each.text).join('')).toBe(text);
    expect(lines.map((each) => each.text)).toEqual(['Call me\n', 'Ishmael. 🐋\n', '\n', 'Or é']);
    const whole = await json(['eval', model, 'lines.txt']);
    const nats = Number(whole.loss) * Number(whole.tokens);
    for (const list of [tokens, lines]) {
      expect(list.reduce((sum, each) => sum - each.logProbability, 0)).toBeCloseTo(nats, 6);
    }
    expect(tokens[0].logProbability === null).toBe(model === 'random');
    const table = (await xlstm(['eval', model, 'lines.txt', '--per-token'])).stdout;
    expect(table).toMatch(/^lines\.txt\nline +token +text +log-probability/);
    expect(table).toMatch(/2 +139 +"🐋" +-[\d.]+\n +2 +10 +"\\n" /);
    expect(table).toContain(Number(lines[1].logProbability).toFixed(4));
  });

  it('counts the bytes that were predicted, whatever characters a text begins with', async () => {
    const starts = ['a', 'é', '😀', '日本', '\u0301', 'ÿ', '\ufffd', '"'];
    const rests = ['', 'b', '😀', ' Grüße an alle. '.repeat(9)];
    // The first text would lose a byte order mark.
    const texts = starts.flatMap((start) => rests.map((rest) => start + rest));
    const known = texts.filter((text) => Buffer.byteLength(text) > 1);
    const files = known.map((_, i) => `start-${i}.txt`);
    for (const [i, text] of known.entries()) await writeFile(path(files[i]), text);
    for (const [model, unpredicted] of [
      ['zero', 1],
      ['documents', 0],
    ] as const) {
      const measured = await json(['eval', model, ...files, '--engine', 'reference']);
      const rows = measured.texts as { loss: number; tokens: number; bytes: number; bitsPerByte: number }[];
      expect(rows).toHaveLength(known.length);
      for (const [i, { loss, tokens, bytes, bitsPerByte }] of rows.entries()) {
        expect(bytes, known[i]).toBe(Buffer.byteLength(known[i]) - unpredicted);
        expect(tokens).toBe(bytes);
        expect(bitsPerByte, known[i]).toBeCloseTo(loss / Math.LN2, 10);
      }
      if (model === 'zero') expect(measured.bitsPerByte).toBeCloseTo(Math.log2(257), 10);
    }
  });

  it.each([
    ['random', undefined],
    ['documents', 256],
  ])('cuts a long text into lanes that start without memory: %s', async (name, documentStart) => {
    const words = Array.from({ length: 2900 }, (_, i) => ((i * i) % 977).toString(36)).join(' ');
    await writeFile(path('long.txt'), words);
    const measured = await json(['eval', name, 'long.txt', '--engine', 'wasm', '--threads', '1']);

    const engine = await createWasmEngine({ threads: 1 });
    const { model, tokenizer } = await loadTextModel(engine, path(name));
    const one = new Evaluator(model, { lanes: 1, length: 100, documentStart });
    const stream = encodeDocuments(tokenizer, [words]);
    const predicted = stream.length - 1;
    expect(predicted).toBeGreaterThan(2 * 4096);
    expect(predicted).toBeLessThan(3 * 4096);
    const half = Math.ceil(predicted / 2);
    const lanes = [stream.subarray(0, half + 1), stream.subarray(half)];
    let nats = 0;
    for (const lane of lanes) nats += (await one.run(lane)).loss * (lane.length - 1);
    const whole = (await one.run(stream)).loss;
    await engine.close();
    expect(measured.tokens).toBe(predicted);
    expect(measured.loss).toBeCloseTo(nats / predicted, 5);
    // The start of the second lane shows that these are two.
    expect(Math.abs(whole - nats / predicted)).toBeGreaterThan(1e-7);
  });

  it('refuses what is no text', async () => {
    const { code, stderr } = await xlstm(['eval', 'zero', golden('lm_slstm.safetensors')]);
    expect(code).toBe(1);
    expect(stderr).toContain('lm_slstm.safetensors: expected text, found binary data');
  });
});

describe('inspect', () => {
  it('counts what a checkpoint holds', async () => {
    const facts = await json(['inspect', 'run']);
    expect(facts.parameters).toBe(trained.parameters);
    const layers = facts.layers as { name: string; kind: string; parameters: number; stateBytes: number }[];
    const named = Object.fromEntries(layers.map(({ name, ...layer }) => [name, layer]));
    expect(named.token_embedding.parameters).toBe(256 * 16);
    expect([named['blocks.0'].kind, named['blocks.1'].kind]).toEqual(['mLSTM', 'sLSTM']);
    expect(layers.reduce((sum, { parameters }) => sum + parameters, 0)).toBe(facts.parameters);
    expect(layers.reduce((sum, { stateBytes }) => sum + stateBytes, 0)).toBe(facts.stateBytes);
  });

  it('counts parameters, state and operations of a configuration', async () => {
    const file = parseSafetensors(await readFile(golden('lm_mixed.safetensors')));
    const parameters = [...file.tensors]
      .filter(([name]) => name.startsWith('param.'))
      .reduce((sum, [, { shape }]) => sum + shape.reduce((a, b) => a * b, 1), 0);
    await writeFile(path('config.json'), file.metadata.config);
    const facts = await json(['inspect', 'config.json']);
    expect(facts.parameters).toBe(parameters);
    // mLSTM: 2 heads of C [64, 64], n [64], m, and 3 inputs of 128; sLSTM: y, c, n, m and 3 inputs, each of 48.
    const mlstm = 4 * (2 * (64 * 64 + 64 + 1) + 3 * 128);
    const slstm = 4 * (4 + 3) * 48;
    const layers = facts.layers as { stateBytes: number }[];
    expect(layers.map((layer) => layer.stateBytes)).toEqual([0, mlstm, slstm, mlstm, slstm, 0, 0]);
    expect(facts.stateBytes).toBe(2 * (mlstm + slstm));
    const { training, decoding } = facts as {
      training: { length: number; flopsPerToken: number };
      decoding: { flopsPerToken: number };
    };
    expect(training.length).toBe(80);
    // Two operations for each weight of a product, at least; three times that with the backward pass.
    expect(decoding.flopsPerToken).toBeGreaterThan(2 * (parameters - 61 * 48));
    expect(training.flopsPerToken / decoding.flopsPerToken).toBeGreaterThan(2.5);
    expect((await xlstm(['inspect', 'config.json'])).stdout).toMatch(/^blocks\.1 +sLSTM +19,008 +1\.34 kB$/m);
  });
});

describe('verify', () => {
  it('passes on golden vectors, a row for each tensor, and ends with its threads', async () => {
    const args = ['verify', golden('lm_slstm.safetensors'), '--engine', 'wasm', '--threads', '2'];
    const { code, stdout, stderr } = await xlstm(args);
    expect(code).toBe(0);
    expect(stdout).toMatch(/ +grad\.lm_head\.weight +whole +\d\.\de-\d+ +5\.0e-4 +ok$/m);
    expect(stdout).toContain('32 tensors within tolerance');
    expect(stderr).toMatch(/^engine {2}wasm, .*2 threads \(asked for by name.*\)\n$/);
    expect(await json(args)).toMatchObject({ passed: true, engine: { name: 'wasm', threads: 2 } });
  });

  it('fails where a number is off', async () => {
    const file = parseSafetensors(await readFile(golden('lm_slstm.safetensors')));
    const tensors = [...file.tensors].map(([name, t]) => {
      const data = t.read();
      if (name === 'loss') data[0] += 1e-2;
      return [name, { shape: t.shape, data }] as const;
    });
    await writeFile(path('expected.safetensors'), writeSafetensors(new Map(tensors), file.metadata));
    const { code, stdout } = await xlstm(['verify', '.']);
    expect(code).toBe(1);
    expect(stdout).toMatch(/ loss .* OVER$/m);
    expect(stdout).toContain('failed: 1 of 32 tensors');
    const report = await xlstm(['verify', 'expected.safetensors', '--json']);
    expect(report.code).toBe(1);
    const { passed, files } = JSON.parse(report.stdout);
    expect(passed).toBe(false);
    const rows: { tensor: string; passed: boolean }[] = files[0].rows;
    expect(rows.filter((row) => !row.passed).map((row) => row.tensor)).toEqual(['loss']);
  });

  it('says what is wrong with a file', async () => {
    const { code, stderr } = await xlstm(['verify', 'text.txt', '--engine', 'reference']);
    expect(code).toBe(1);
    expect(stderr).toMatch(/\nerror: text\.txt: expected a header/);
  });
});

it('doctor says which engines there are and which is taken', async () => {
  const { engines, choice } = await json(['doctor']);
  const found = engines as { name: string; present: boolean; detail: string; hint?: string }[];
  expect(found.map(({ name }) => name)).toEqual(['native', 'wasm', 'webgpu', 'reference']);
  expect(found[1].present).toBe(true);
  for (const { present, hint } of found) if (!present) expect(hint).toBeTruthy();
  // What it says is what happens.
  const { stderr } = await xlstm(['eval', 'zero', 'text.txt']);
  const taken = (choice as { engine: string }).engine;
  expect(stderr).toMatch(new RegExp(`^engine  ${taken}`));
});
