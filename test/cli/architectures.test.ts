import { spawnSync } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { describe, expect, it } from 'vitest';
import { SHORT, workplace } from './command.ts';

const { path, xlstm, begun } = workplace();

const example = (name: string): string => fileURLToPath(new URL(`../../examples/${name}`, import.meta.url));

/** Runs a command that is to succeed, with --json: what it prints. */
async function json(args: readonly string[], env?: NodeJS.ProcessEnv): Promise<Record<string, unknown>> {
  const { code, stdout, stderr } = await xlstm([...args, '--json'], env);
  expect(code, stderr).toBe(0);
  return JSON.parse(stdout);
}

describe.each(['gru', 'transformer', 'mamba'])('%s', (architecture) => {
  const run = `run-${architecture}`;
  const config = `${architecture}.json`;

  it('is trained, stopped, resumed, measured, inspected, and writes', async () => {
    await writeFile(
      path(config),
      JSON.stringify({ architecture, vocab_size: 256, embedding_dim: 16, num_heads: 2 }),
    );
    const options = ['--config', config, '--steps', '3000', '--out', run, '--engine', 'wasm'];
    const { process: running, ended } = await begun(
      ['train', '--data', 'text.txt', ...SHORT, ...options],
      run,
    );
    running.kill('SIGINT');
    const { code, stderr } = await ended;
    expect(code, stderr).toBe(0);
    expect(stderr).toMatch(new RegExp(`\nmodel +\\S+ parameters: ${architecture}, 2 blocks, width 16\n`));
    const step = Number(/stopped after step (\d+)/.exec(stderr)?.[1]);
    const again = await begun(['train', '--resume', run, '--engine', 'wasm'], run);
    again.process.kill('SIGINT');
    const resumed = await again.ended;
    expect(resumed.code, resumed.stderr).toBe(0);
    expect(Number(/stopped after step (\d+)/.exec(resumed.stderr)?.[1])).toBeGreaterThan(step);

    const facts = await json(['inspect', run]);
    expect(facts).toMatchObject({ architecture, decoding: {}, training: {} });
    expect(facts.parameters).toBe((await json(['inspect', config])).parameters);
    const write = ['generate', run, '--prompt', 'The', '--max-tokens', '20', '--seed', '1'];
    const written = await json(write);
    expect(written.tokens).toBe(20);
    expect((await json(write)).text).toBe(written.text);
    expect(Number((await json(['eval', run, 'text.txt'])).loss)).toBeLessThan(Math.log(256));
  });
});

it.each([
  [
    '{"architecture": "xlstm-huge", "vocab_size": 256}',
    /c\.json: architecture: expected one of xlstm, .*"xlstm-huge"/,
  ],
  [
    '{"architecture": "gru", "vocab_size": 255}',
    /c\.json: vocab_size: the tokenizer needs at least 256, found 255/,
  ],
  ['{"architecture": "gru", "vocab": 256}', /c\.json: vocab: unknown key/],
])('train says what is wrong with a configuration: %s', async (text, message) => {
  await writeFile(path('c.json'), text);
  const { code, stderr } = await xlstm(['train', ...SHORT, '--config', 'c.json', '--out', 'never']);
  expect(code).toBe(1);
  expect(stderr).toMatch(message);
  expect(stderr).not.toMatch(/\n\s+at .*:\d+/);
});

it('an architecture of one’s own is there for the command line in a file that Node loads first', async () => {
  const args = [example('own_network.js'), '60', path('own')];
  const trained = spawnSync(process.execPath, args, { encoding: 'utf8' });
  expect(trained.status, trained.stderr).toBe(0);

  const unknown = await xlstm(['generate', 'own', '--prompt', 'The']);
  expect(unknown.code).toBe(1);
  expect(unknown.stderr).toMatch(/config\.json: architecture: .*"conv-net"\n +.*NODE_OPTIONS="--import/);
  const env = { NODE_OPTIONS: `--import ${pathToFileURL(example('conv_net.js')).href}` };
  const facts = await json(['inspect', 'own'], env);
  expect(facts).toMatchObject({ architecture: 'conv-net', stateBytes: 3 * 7 * 64 * 4 });
  const greedy = ['--prompt', 'The white whale ', '--max-tokens', '12', '--temperature', '0'];
  const { text, tokens } = await json(['generate', 'own', ...greedy], env);
  expect(tokens).toBe(12);
  expect(text).toMatch(/^[a-z ]{12}$/);
  const { loss } = await json(['eval', 'own', 'text.txt'], env);
  // A byte at random costs 5.5 nats.
  expect(loss).toBeLessThan(3.5);
});

it('a vocabulary of 11 without a tokenizer is loaded, inspected, and text commands say what is missing', async () => {
  const script = `
    import { chooseEngine, createModel } from 'xlstm';
    import { saveCheckpoint } from 'xlstm/node';
    const { engine } = await chooseEngine('reference');
    await saveCheckpoint(process.argv[1], { model: createModel(engine, { vocabSize: 11, embeddingDim: 8, numHeads: 2 }) });`;
  const saved = spawnSync(process.execPath, ['--input-type=module', '-e', script, path('eleven')], {
    cwd: fileURLToPath(new URL('../../', import.meta.url)),
    encoding: 'utf8',
  });
  expect(saved.status, saved.stderr).toBe(0);
  expect(await json(['inspect', 'eleven'])).toMatchObject({ architecture: 'xlstm' });
  for (const args of [
    ['generate', 'eleven', '--prompt', 'x'],
    ['eval', 'eleven', 'text.txt'],
  ]) {
    const { code, stderr } = await xlstm(args);
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /error: eleven: the model has no tokenizer .*\n +Its 11 tokens are no bytes: .*registerTokenizer/,
    );
  }
  await writeFile(path('eleven/tokenizer.json'), '{"type": "byte", "specials": []}');
  expect((await xlstm(['eval', 'eleven', 'text.txt'])).stderr).toMatch(
    /tokenizer\.json: the tokenizer makes 256 tokens, the model in config\.json knows 11/,
  );
});

it('xlstm-large is trained by its name, into a folder as of transformers, and trained on', async () => {
  const large = ['--architecture', 'xlstm-large', '--dim', '16', '--blocks', '3', '--heads', '2'];
  const steps = ['--steps', '60', '--batch', '4', '--length', '16', '--sample', '0', '--engine', 'wasm'];
  const train = ['train', '--data', 'text.txt', ...steps];
  const { code, stderr } = await xlstm([...train, ...large, '--tie-weights', '--out', 'large']);
  expect(code, stderr).toBe(0);
  expect(stderr).toMatch(/parameters: xLSTM Large, 3 blocks, width 16\n/);
  const config = JSON.parse(await readFile(path('large/checkpoint/config.json'), 'utf8'));
  expect(config).toMatchObject({
    model_type: 'xlstm',
    vocab_size: 256,
    hidden_size: 16,
    num_hidden_layers: 3,
    num_heads: 2,
    tie_word_embeddings: true,
  });
  expect(Number((await json(['eval', 'large', 'text.txt'])).loss)).toBeLessThan(Math.log(256));

  const again = [...train, '--init', 'large', '--architecture'];
  const on = await xlstm([...again, ...large.slice(1), '--tie-weights', '--out', 'large-2']);
  expect(on.code, on.stderr).toBe(0);
  const wider = await xlstm([...again, 'xlstm-large', '--dim', '32', '--heads', '2', '--out', 'never']);
  expect(wider.code).toBe(2);
  expect(wider.stderr).toMatch(/--init large: xLSTM Large, .*; but --dim 32\n/);
  const other = await xlstm([...again, 'xlstm', '--out', 'never']);
  expect(other.code).toBe(2);
  expect(other.stderr).toMatch(/--init large: xLSTM Large, .*; but --architecture xlstm\n/);
});

it.each([
  [['xlstm-large', '--slstm-at', '1', '--dropout', '0.1'], /--slstm-at, --dropout: xlstm-large has no such/],
  [['xlstm-huge'], /--architecture: expected xlstm or xlstm-large, found "xlstm-huge"\n +.*--config FILE/],
  [['xlstm-large', '--config', 'c.json'], /--architecture: with --config the file says all/],
])('train --architecture %j is refused', async (options, message) => {
  const { code, stderr } = await xlstm(['train', '--out', 'never', '--architecture', ...options]);
  expect(code).toBe(2);
  expect(stderr).toMatch(message);
});
