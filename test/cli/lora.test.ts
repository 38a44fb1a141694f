import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import { loadModel } from '../../src/index_node.ts';
import { workplace } from './command.ts';

const { path, xlstm, begun } = workplace();

async function done(args: readonly string[]): Promise<{ stdout: string; stderr: string }> {
  const { code, stdout, stderr } = await xlstm(args);
  expect(code, stderr).toBe(0);
  return { stdout, stderr };
}

async function refused(args: readonly string[], status: number): Promise<string> {
  const { code, stderr } = await xlstm(args);
  expect(code, stderr).toBe(status);
  expect(stderr).not.toMatch(/\n\s+at .*:\d+/);
  return stderr;
}

const lossOf = async (...model: string[]): Promise<number> =>
  JSON.parse((await done(['eval', ...model, 'text.txt', '--json'])).stdout).loss;

const steps = [
  '--data',
  'text.txt',
  '--batch',
  '2',
  '--length',
  '32',
  '--warmup-steps',
  '2',
  '--sample',
  '0',
];
const over = (base: string, ...more: string[]) => ['train', '--init', base, ...steps, ...more];
const lora = ['--lora', 'rank=4,alpha=8'];

beforeAll(async () => {
  const sizes = ['--dim', '64', '--blocks', '2', '--heads', '2'];
  await done(['train', ...steps, ...sizes, '--steps', '6', '--out', 'base']);
  await done(['quantize', 'base', '--dtype', 'q8']);
  await done(['train', ...steps, ...sizes, '--steps', '1', '--seed', '2', '--out', 'other']);
}, 120_000);

describe.each(['base', 'base-q8'])('adapters over %s', (base) => {
  const run = `${base}-lora`;

  it('are trained, resumed, used and merged', async () => {
    const written = ['--prompt', 'The', '--max-tokens', '9', '--temperature', '0', '--json'];
    const before = await lossOf(base);
    const { stderr: said } = await done(over(base, ...lora, '--steps', '12', '--out', run));
    expect(said).toMatch(/adapter .* of them are trained: rank 4 beside \d+ matrices of .*base/);
    expect((await readdir(path(run, 'checkpoint'))).sort()).toEqual([
      'adapter_config.json',
      'adapter_model.safetensors',
      'optimizer.safetensors',
      'training.json',
    ]);
    expect(await readdir(path(run, 'best'))).toContain('adapter_model.safetensors');
    await done(['train', '--resume', run, '--steps', '16', '--sample', '0']);
    const after = await lossOf(run);
    expect(after).toBeLessThan(before - 0.05);
    expect(await lossOf(base)).toBe(before);
    expect(await lossOf(base, '--adapter', run)).toBe(after);

    const facts = JSON.parse((await done(['inspect', run, '--json'])).stdout);
    const plain = JSON.parse((await done(['inspect', base, '--json'])).stdout);
    expect(facts.adapter).toMatchObject({ rank: 4, alpha: 8, base: path(base) });
    expect(facts.adapter.matrices).toBe(facts.adapter.targets.length);
    expect(facts.parameters).toBe(plain.parameters + facts.adapter.parameters);
    expect(facts.source).toMatch(/adapter_config\.json$/);
    expect((await done(['inspect', run])).stdout).toMatch(
      /^adapter {5}rank 4, alpha 8, beside \d+ matrices \(.*proj_up.*\) of .*base.*: [\d.]+k numbers$/m,
    );
    using model = await loadModel(path(base), { kind: 'text', adapter: path(run) });
    expect(model.model.parameters.added.length).toBe(2 * facts.adapter.matrices);
    expect((await model.session().complete('The', { maxTokens: 9, temperature: 0 })).text).toBe(
      JSON.parse((await done(['generate', base, '--adapter', run, ...written])).stdout).text,
    );
    const byAdapter = await done(['generate', base, '--adapter', `${run}/checkpoint`, ...written]);

    await done(['merge', base, run, `${base}-merged`]);
    expect(await lossOf(`${base}-merged`)).toBeCloseTo(after, 5);
    const byMerged = await done(['generate', `${base}-merged`, ...written]);
    expect(JSON.parse(byMerged.stdout).text).toBe(JSON.parse(byAdapter.stdout).text);
    expect(await refused(['merge', base, run, `${base}-merged`], 1)).toMatch(/-merged: is there already/);
    expect(await refused(['merge', 'other', run, 'never'], 1)).toMatch(
      /adapter_model\.safetensors: base_fingerprint: expected that of other/,
    );
    expect(existsSync(path('never'))).toBe(false);
  }, 120_000);

  it('have the same bits when their training is killed and resumed', async () => {
    const [whole, parts] = [`${base}-whole`, `${base}-parts`];
    const settings = [...lora, '--checkpoint-every', '5'];
    await done(over(base, ...settings, '--steps', '60', '--out', whole));
    const training = await begun(over(base, ...settings, '--steps', '60', '--out', parts), parts, 14);
    training.process.kill('SIGKILL');
    await training.ended;
    await done(['train', '--resume', parts, '--sample', '0']);
    for (const name of ['adapter_model.safetensors', 'optimizer.safetensors']) {
      const [one, other] = await Promise.all(
        [whole, parts].map((run) => readFile(path(run, 'checkpoint', name))),
      );
      expect(one.equals(other), name).toBe(true);
    }
  }, 120_000);

  it('are not trained over adapters, made small or written in another form', async () => {
    expect(await refused(over(run, ...lora, '--out', 'never'), 1)).toContain('cannot have adapters itself');
    expect(await refused(['quantize', run, '--dtype', 'q8', '--out', 'never'], 1)).toContain('xlstm merge');
    expect(existsSync(path('never'))).toBe(false);
  });
});

describe('adapters', () => {
  it.each([
    ['rank=0,alpha=1', 'Expected a whole number from 1 to 65536'],
    ['alpha=4', 'Expected rank=8,alpha=16'],
    ['rank=4,alpha=0', 'Expected a number above 0'],
    ['rank=4,alpha=1e999', 'Expected a number above 0'],
    ['rank=4,alpha=8,alpha=9', 'Expected rank=8,alpha=16'],
    ['', 'Expected rank=8,alpha=16'],
    ['rank=4,alpha=1,dropout=1', 'Expected rank=8,alpha=16'],
    ['rank=4,alpha=1,targets=', 'Expected names separated by commas'],
    ['rank=4,alpha=1,targets=proj_dwn', '--lora: expected names of this model\'s matrices, found "proj_dwn"'],
  ])('with --lora %s are refused', async (settings, message) => {
    expect(await refused(over('base', '--lora', settings, '--out', 'never'), 2)).toContain(message);
    expect(existsSync(path('never'))).toBe(false);
  });

  it('want a base, also by another path, and a new run', async () => {
    expect(await refused(['train', ...steps, ...lora, '--out', 'never'], 2)).toContain(
      'expected --init MODEL',
    );
    const address = over('https://example.org/model', ...lora, '--out', 'never');
    expect(await refused(address, 2)).toContain('--lora: expected the path of a model');
    expect(await refused(['train', '--resume', 'base', ...lora], 2)).toContain(
      '--lora: a run that is resumed',
    );
    expect(await refused(['eval', 'base', 'text.txt', '--adapter', 'other'], 1)).toContain(
      'other: expected an adapter (adapter_config.json, adapter_model.safetensors)',
    );
    expect(await refused(over('base-q8', '--out', 'never'), 2)).toContain('--lora rank=8,alpha=16');
  });

  it('are beside the matrices that are named', async () => {
    await done(over('base', '--lora', 'rank=2,alpha=4,targets=lm_head', '--steps', '1', '--out', 'head'));
    const config = JSON.parse(await readFile(path('head/checkpoint/adapter_config.json'), 'utf8'));
    expect(config).toMatchObject({
      ...{ r: 2, lora_alpha: 4, target_modules: ['lm_head'] },
      base_model_name_or_path: path('base'),
    });
  });
});
