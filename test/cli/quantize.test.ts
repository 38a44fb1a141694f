import { existsSync } from 'node:fs';
import { cp, readFile, writeFile } from 'node:fs/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import { workplace } from './command.ts';

const { path, xlstm } = workplace();

async function done(args: readonly string[]): Promise<{ stdout: string; stderr: string }> {
  const { code, stdout, stderr } = await xlstm(args);
  expect(code, stderr).toBe(0);
  return { stdout, stderr };
}

async function refused(args: readonly string[], status = 1): Promise<string> {
  const { code, stderr } = await xlstm(args);
  expect(code, stderr).toBe(status);
  expect(stderr).not.toMatch(/\n\s+at .*:\d+/);
  return stderr;
}

const lossOf = async (model: string, engine: string): Promise<number> =>
  JSON.parse((await done(['eval', model, 'text.txt', '--engine', engine, '--json'])).stdout).loss;

beforeAll(async () => {
  const sizes = ['--dim', '64', '--blocks', '2', '--heads', '2', '--batch', '2', '--length', '32'];
  const run = ['--steps', '40', '--learning-rate', '0.01', '--sample', '0'];
  await done(['train', '--data', 'text.txt', ...sizes, ...run, '--out', 'run']);
}, 120_000);

// Of the file: half a weight's bits and more are the embedding's and other precise parts in a model as small as this.
describe.each([
  ['bf16', 0.95, 0.01],
  ['q8', 0.8, 0.02],
  ['q4', 0.7, 0.2],
] as const)('%s', (dtype, share, tolerance) => {
  const out = `run-${dtype}`;

  it('makes a smaller model that says nearly the same, on every engine', async () => {
    const { stderr } = await done(['quantize', 'run', '--dtype', dtype]);
    expect(stderr).toMatch(new RegExp(`${out}: .* of weights, [\\d.]+ bits each; they were `));
    const sizes = await Promise.all(
      ['run/checkpoint', out].map(
        async (folder) => (await readFile(path(folder, 'model.safetensors'))).length,
      ),
    );
    expect(sizes[1]).toBeLessThan(share * sizes[0]);
    const precise = await lossOf('run', 'wasm');
    const small = await lossOf(out, 'wasm');
    expect(small).not.toBe(precise);
    expect(Math.abs(small - precise)).toBeLessThan(tolerance);
    expect(await lossOf(out, 'auto')).toBeCloseTo(small, 4);
  });

  it('is generated from and inspected, and neither trained nor made small again', async () => {
    const { stdout } = await done(['generate', out, '--prompt', 'The', '--max-tokens', '9', '--json']);
    expect(JSON.parse(stdout).tokens).toBe(9);
    expect((await done(['inspect', out])).stdout).toContain(`matrices in ${dtype}`);
    const config = JSON.parse(await readFile(path(out, 'config.json'), 'utf8'));
    expect(config.quantization_config).toEqual({ quant_method: 'xlstm', format: dtype });

    expect(await refused(['quantize', out, '--dtype', 'q8', '--out', 'twice'])).toMatch(
      new RegExp(`${out}/config\\.json: the weights are small already: ${dtype}`),
    );
    expect(existsSync(path('twice'))).toBe(false);
    const trained = ['train', '--init', out, '--data', 'text.txt', '--steps', '1', '--out', 'never'];
    expect(await refused(trained, 2)).toMatch(/a model of small weights .* cannot be trained/);
  });
});

it('leaves a folder that is there alone', async () => {
  await cp(path('run'), path('there-q8'), { recursive: true });
  expect(await refused(['quantize', 'there', '--dtype', 'q8'])).toMatch(/there-q8: is there already/);
});

it('says that there is nothing to make smaller', async () => {
  const sizes = ['--dim', '16', '--blocks', '2', '--heads', '2', '--batch', '2', '--length', '16'];
  const run = ['--steps', '1', '--sample', '0', '--tie-weights'];
  await done(['train', '--data', 'text.txt', ...sizes, ...run, '--out', 'narrow']);
  const config = JSON.parse(await readFile(path('narrow/checkpoint/config.json'), 'utf8'));
  expect(config.embedding_dim).toBe(16);
  expect(await refused(['quantize', 'narrow', '--dtype', 'q4'])).toMatch(
    /narrow: expected matrices of 32 × 32/,
  );
  expect(existsSync(path('narrow-q4'))).toBe(false);
});

describe('--precision bf16 of a model that is used', () => {
  const bf16 = ['--precision', 'bf16', '--engine', 'reference'];
  const lossIn = async (...options: string[]): Promise<number> =>
    JSON.parse(
      (await done(['eval', 'run', 'text.txt', '--evaluation-tokens', '200', '--json', ...options])).stdout,
    ).loss;

  it('rounds its matrices, and its loss is nearly the same', async () => {
    const [exact, rounded] = [await lossIn('--engine', 'reference'), await lossIn(...bf16)];
    expect(rounded).not.toBe(exact);
    expect(Math.abs(rounded / exact - 1)).toBeLessThan(0.005);
  });

  it('goes on with a session of its own, and refuses one of float32', async () => {
    const generate = ['generate', 'run', '--max-tokens', '4', '--seed', '1', '--session', 'rounded.session'];
    await done([...generate, ...bf16, '--prompt', 'The']);
    await done([...generate, ...bf16]);
    expect(await refused(generate)).toMatch(/rounded.session: the session was saved from another model/);
  });

  it.each<[string, string[], RegExp, number]>([
    [
      'generate',
      ['run', '--engine', 'wasm'],
      /precision bf16: WebAssembly has no dot products of bfloat16\n.*f32/,
      1,
    ],
    [
      'serve',
      ['run', '--engine', 'wasm', '--port', '0'],
      /precision bf16: WebAssembly has no dot products/,
      1,
    ],
    [
      'chat',
      ['run-q8', '--engine', 'reference'],
      /precision bf16: expected float32 weights, found small ones \(q8\)/,
      2,
    ],
  ])('is refused by %s %o', async (command, options, message, status) => {
    expect(await refused([command, ...options, '--precision', 'bf16'], status)).toMatch(message);
  });
});

describe('files of small weights that are not right', () => {
  it('scales that are no numbers', async () => {
    await done(['quantize', 'run', '--dtype', 'q8', '--out', 'broken']);
    const file = await readFile(path('broken/model.safetensors'));
    const header = Number(file.readBigUInt64LE());
    const tensors = JSON.parse(file.toString('utf8', 8, 8 + header));
    const name = Object.keys(tensors).find((each) => tensors[each].dtype === 'I32') as string;
    const [, end] = tensors[name].data_offsets;
    const [, words] = tensors[name].shape;
    // The last row ends with its scales and zeros: all of its words are made infinite.
    for (let at = end - 4 * words; at < end; at += 4) file.writeUInt32LE(0x7f800000, 8 + header + at);
    await writeFile(path('broken/model.safetensors'), file);
    const message = await refused(['generate', 'broken', '--prompt', 'The']);
    expect(message).toContain(`"${name}" holds scales that are no finite numbers`);
  });

  it.each([
    ['{"quant_method": "bitsandbytes"}', /quantization_config: expected .*found .*bitsandbytes/],
    ['{"quant_method": "xlstm", "format": "q2"}', /quantization_config: expected .*q8, q4, bf16.*q2/],
    ['7', /quantization_config: expected .*found 7/],
  ])('a configuration of %s', async (text, message) => {
    await cp(path('run/checkpoint'), path('other'), { recursive: true });
    const config = JSON.parse(await readFile(path('other/config.json'), 'utf8'));
    config.quantization_config = JSON.parse(text);
    await writeFile(path('other/config.json'), JSON.stringify(config));
    expect(await refused(['generate', 'other', '--prompt', 'The'])).toMatch(message);
  });
});
