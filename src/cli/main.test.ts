import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { saveCheckpoint } from '../checkpoints/checkpoint.ts';
import { parseSafetensors, writeSafetensors } from '../checkpoints/safetensors.ts';
import { ByteTokenizer } from '../data/tokenizer.ts';
import { createReferenceEngine } from '../engine/reference/engine.ts';
import { Model } from '../nn/model.ts';
import { languageModelConfig } from '../xlstm/config.ts';
import { XlstmLanguageModel } from '../xlstm/language_model.ts';
import { runCli } from './main.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const golden = join(root, 'test/golden/');

interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

async function xlstm(...args: string[]): Promise<Ran> {
  let out = '';
  let err = '';
  const stdout = vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    out += text;
    return true;
  });
  const stderr = vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    err += text;
    return true;
  });
  try {
    const code = await runCli(args);
    return { code, out, err };
  } finally {
    stdout.mockRestore();
    stderr.mockRestore();
  }
}

let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'xlstm-cli-'));
  const config = languageModelConfig({ vocabSize: 256, embeddingDim: 16, numBlocks: 2, slstmAt: [1] });
  const build = (scope: ConstructorParameters<typeof XlstmLanguageModel>[0]) =>
    new XlstmLanguageModel(scope, config);
  const engine = createReferenceEngine();
  const save = (name: string, model: Model<XlstmLanguageModel>) =>
    saveCheckpoint(join(folder, name), { model, tokenizer: new ByteTokenizer(), training: undefined });
  await save('random', Model.create(engine, build, 1));
  await save('zero', Model.empty(engine, build));
});
afterAll(() => rmSync(folder, { recursive: true }));
afterEach(() => {
  process.exitCode = undefined;
});

const commands = ['train', 'generate', 'eval', 'inspect', 'verify', 'doctor'];

describe('xlstm', () => {
  it('prints its version', async () => {
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
    expect(await xlstm('--version')).toEqual({ code: 0, out: `${version}\n`, err: '' });
  });

  it.each(commands)('has help for %s, with examples', async (command) => {
    expect((await xlstm('--help')).out).toMatch(new RegExp(`^  ${command} `, 'm'));
    const { code, out } = await xlstm(command, '--help');
    expect(code).toBe(0);
    expect(out).toContain(`Usage: xlstm ${command} `);
    expect(out).toMatch(/^Examples:\n {2}xlstm /m);
  });

  it.each([
    [['verfy'], "unknown command 'verfy'\n(Did you mean verify?)"],
    [['verify', '--thread', '1', 'x'], "unknown option '--thread'\n(Did you mean --threads?)"],
    [['verify'], "missing required argument 'path'"],
    [
      ['verify', 'x', '--threads', '1.5'],
      "'--threads <n>' argument '1.5' is invalid. Expected a whole number from 1",
    ],
    [['verify', 'x', '--engine', 'cuda'], 'Allowed choices are auto, native, wasm, reference'],
    [['generate', 'x', '--top-p', '0'], 'Expected a number above 0 and at most 1.'],
    [['generate', 'x', '--temperature', ''], 'Expected a number of at least 0.'],
    [
      ['generate', 'x', '--prompt', 'a', '--prompt-file', 'b'],
      'one of --prompt and --prompt-file, found both',
    ],
  ])('answers wrong usage with exit code 2: %j', async (args, message) => {
    const { code, out, err } = await xlstm(...args);
    expect(err).toContain(`error: `);
    expect(err).toContain(message);
    expect({ code, out }).toEqual({ code: 2, out: '' });
  });

  it('runs as a program, and ends with its threads', { timeout: 60_000 }, async () => {
    const run = (...args: string[]) =>
      promisify(execFile)(process.execPath, [join(root, 'bin/xlstm.js'), ...args], { encoding: 'utf8' });
    const { stdout, stderr } = await run(
      'verify',
      `${golden}slstm_cell.safetensors`,
      '--engine',
      'wasm',
      '--threads',
      '2',
    );
    expect(stdout).toContain('84 tensors within tolerance');
    expect(stderr).toMatch(/^engine {2}wasm, .*2 threads \(asked for by name\)\n$/);
    await expect(run('verify', 'nothing')).rejects.toMatchObject({ code: 1 });
  });
});

describe('xlstm verify', () => {
  it('prints a row for each tensor', async () => {
    const { code, out, err } = await xlstm(
      'verify',
      `${golden}lm_slstm.safetensors`,
      '--engine',
      'reference',
    );
    expect(code).toBe(0);
    expect(out).toMatch(/ +grad\.lm_head\.weight +whole +\d\.\de-\d+ +5\.0e-4 +ok$/m);
    expect(out).toContain('32 tensors within tolerance');
    expect(err).toBe('engine  plain TypeScript loops in float64, 1 thread (asked for by name)\n');
  });

  it('ends with 1 where an error is over its tolerance', async () => {
    const file = parseSafetensors(readFileSync(`${golden}lm_slstm.safetensors`));
    const tensors = [...file.tensors].map(([name, t]) => {
      const data = t.read();
      if (name === 'loss') data[0] += 1e-3;
      return [name, { shape: t.shape, data }] as const;
    });
    const path = join(folder, 'expected.safetensors');
    writeFileSync(path, writeSafetensors(new Map(tensors), file.metadata));
    const table = await xlstm('verify', folder, '--engine', 'reference');
    expect(table.code).toBe(1);
    expect(table.out).toMatch(/ loss .* OVER$/m);
    expect(table.out).toContain('failed: 1 of 32 tensors');
    process.exitCode = undefined;
    const json = await xlstm('verify', path, '--engine', 'reference', '--json');
    expect(json.code).toBe(1);
    const { passed, files } = JSON.parse(json.out);
    expect(passed).toBe(false);
    const rows: { tensor: string; passed: boolean }[] = files[0].rows;
    expect(rows.filter((row) => !row.passed).map((row) => row.tensor)).toEqual(['loss']);
  });

  it('says what is wrong with a file, without a stack trace', async () => {
    const { code, err } = await xlstm('verify', join(root, 'package.json'), '--engine', 'reference');
    expect(code).toBe(1);
    expect(err).toContain('package.json: expected a header');
    expect(err).not.toContain('    at ');
  });
});

describe('xlstm inspect', () => {
  it('counts parameters, state and operations', async () => {
    const file = parseSafetensors(readFileSync(`${golden}lm_mixed.safetensors`));
    const parameters = [...file.tensors]
      .filter(([name]) => name.startsWith('param.'))
      .reduce((sum, [, { shape }]) => sum + shape.reduce((a, b) => a * b, 1), 0);
    const path = join(folder, 'config.json');
    writeFileSync(path, file.metadata.config);
    const { code, out } = await xlstm('inspect', path, '--json');
    expect(code).toBe(0);
    const facts = JSON.parse(out);
    expect(facts.parameters).toBe(parameters);
    // mLSTM: 2 heads of C [64, 64], n [64], m, and 3 inputs of 128; sLSTM: y, c, n, m and 3 inputs, each of 48.
    const mlstm = 4 * (2 * (64 * 64 + 64 + 1) + 3 * 128);
    const slstm = 4 * (4 + 3) * 48;
    expect(facts.layers.map((layer: { stateBytes: number }) => layer.stateBytes)).toEqual([
      0,
      mlstm,
      slstm,
      mlstm,
      slstm,
      0,
      0,
    ]);
    expect(facts.stateBytes).toBe(2 * (mlstm + slstm));
    expect(facts.training.length).toBe(80);
    // Two operations for each weight of a product, at least; three times that with the backward pass.
    expect(facts.decoding.flopsPerToken).toBeGreaterThan(2 * (parameters - 61 * 48));
    expect(facts.training.flopsPerToken / facts.decoding.flopsPerToken).toBeGreaterThan(2.5);
    expect((await xlstm('inspect', path)).out).toMatch(/^blocks\.1 +sLSTM +19,008 +1\.34 kB$/m);
  });

  it('names the key of a configuration that is out of range', async () => {
    const path = join(folder, 'bad.json');
    writeFileSync(path, JSON.stringify({ vocab_size: 256, embedding_dim: 30, num_blocks: 2, slstm_at: [2] }));
    const { code, err } = await xlstm('inspect', path);
    expect(code).toBe(1);
    expect(err).toContain('slstm_at: expected blocks from 0 to 1 (there are 2), found 2');
  });
});

describe('xlstm eval', () => {
  it('measures a model that knows nothing at 8 bits per byte', async () => {
    const path = join(folder, 'text.txt');
    writeFileSync(path, 'Grüße an alle. '.repeat(20));
    const { code, out } = await xlstm('eval', join(folder, 'zero'), path, '--engine', 'reference', '--json');
    expect(code).toBe(0);
    const { loss, perplexity, bitsPerByte, tokens, texts } = JSON.parse(out);
    expect(tokens).toBe(17 * 20 - 1);
    expect(loss).toBeCloseTo(Math.log(256), 10);
    expect(perplexity).toBeCloseTo(256, 8);
    expect(bitsPerByte).toBeCloseTo(8, 10);
    expect(texts).toHaveLength(1);
    const table = await xlstm('eval', join(folder, 'zero'), path, path, '--engine', 'reference');
    expect(table.out).toMatch(/^all +678 +5\.5452 +256\.000 +8\.0000$/m);
  });

  it('refuses what is no text', async () => {
    const { code, err } = await xlstm(
      'eval',
      join(folder, 'zero'),
      `${golden}lm_slstm.safetensors`,
      '--engine',
      'reference',
    );
    expect(code).toBe(1);
    expect(err).toContain('lm_slstm.safetensors: expected text, found binary data');
  });
});

describe('xlstm generate', () => {
  const generate = (...args: string[]) =>
    xlstm('generate', join(folder, 'random'), '--engine', 'reference', ...args);

  it('writes the same text for the same seed', async () => {
    const json = await generate('--prompt', 'The', '--max-tokens', '40', '--seed', '5', '--json');
    expect(json.code).toBe(0);
    const { text, tokens, seed } = JSON.parse(json.out);
    expect({ tokens, seed }).toEqual({ tokens: 40, seed: 5 });
    const again = await generate('--prompt', 'The', '--max-tokens', '40', '--seed', '5');
    expect(again.out).toBe(`The${text}\n`);
    const other = await generate('--prompt', 'The', '--max-tokens', '40', '--seed', '6');
    expect(other.out).not.toBe(again.out);
  });

  it('needs a prompt and a model', async () => {
    expect(await generate()).toMatchObject({ code: 2, out: '' });
    const empty = await generate('--prompt', '');
    expect(empty).toMatchObject({ code: 1, out: '' });
    expect(empty.err).toContain('--prompt: expected some text, found none');
    const none = await xlstm('generate', join(folder, 'none'), '--prompt', 'a', '--engine', 'reference');
    expect(none.code).toBe(1);
    expect(none.err).toContain('none: expected a checkpoint');
  });
});
