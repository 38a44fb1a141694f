import { cp, mkdir, readdir, readFile, truncate, writeFile } from 'node:fs/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import { type Ended, metrics, SHORT, TINY, tinyOn, workplace } from './command.ts';

const { path, xlstm } = workplace();

/** The error message, which is one: the line that starts with "error:" and its hint. */
function message({ stderr }: Ended): string {
  const errors = stderr.split('\n').filter((line) => /^(internal )?error:/.test(line));
  expect(errors, stderr).toHaveLength(1);
  expect(stderr).not.toMatch(/\n\s+at .*:\d+/); // no stack
  return stderr.slice(stderr.indexOf('error:'));
}

async function refused(args: readonly string[], code: number, env?: NodeJS.ProcessEnv): Promise<string> {
  const ended = await xlstm(args, env);
  expect(ended.code, ended.stderr).toBe(code);
  return message(ended);
}

/** Every file below a folder, with its bytes. */
async function contents(folder: string): Promise<Map<string, string>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => `${entry.parentPath}/${entry.name}`);
  const read = async (file: string) => [file, (await readFile(file)).toString('base64')] as const;
  return new Map(await Promise.all(files.sort().map(read)));
}

beforeAll(async () => {
  const trained = await xlstm(['train', ...TINY, '--steps', '3', '--out', 'run', '--engine', 'wasm']);
  expect(trained.code, trained.stderr).toBe(0);
});

/** Train options that must not bring a run about, for a sound text or the one given. */
async function refusedRun(
  options: readonly string[],
  code: number,
  { data = 'text.txt', env }: { data?: string; env?: NodeJS.ProcessEnv } = {},
): Promise<string> {
  const before = await readdir(path());
  const small = options.includes('--config') ? ['--data', data, ...SHORT] : tinyOn(data);
  const text = await refused(['train', ...small, '--out', 'never', ...options], code, env);
  expect(await readdir(path())).toEqual(before);
  return text;
}

describe('wrong usage', () => {
  it('names an unknown option and the nearest one', async () => {
    expect(await refusedRun(['--block', '3'], 2)).toMatch(/unknown option '--block'[\s\S]*--blocks/);
  });
  it('names an unknown command', async () => {
    expect(await refused(['trian'], 2)).toMatch(/unknown command 'trian'[\s\S]*train/);
  });
  it.each([
    ['--dim', '0', /--dim <n>.*'0'.*at least 1/],
    ['--length', '0', /--length <n>.*'0'.*at least 1/],
    ['--batch', 'two', /--batch <n>.*'two'.*whole number/],
    ['--blocks', '0', /--blocks <n>.*'0'.*at least 1/],
    ['--heads', '-1', /--heads <n>.*'-1'.*at least 1/],
    ['--steps', '0', /--steps <n>.*'0'.*at least 1/],
    ['--learning-rate', '0', /--learning-rate <rate>.*'0'.*above 0/],
    ['--beta2', '1', /--beta2 <b>.*'1'.*0 to 0\.9999/],
    ['--dropout', '1', /--dropout <rate>.*'1'.*0 to 0\.99/],
    ['--threads', '0', /--threads <n>.*'0'.*1 to 256/],
    ['--engine', 'cuda', /--engine <name>.*'cuda'.*native, wasm, webgpu, reference/],
    ['--order', 'sideways', /--order.*contiguous, documents, shuffled.*sideways/],
  ])('%s %s', async (option, value, expected) => {
    expect(await refusedRun([option, value], 2)).toMatch(expected);
  });
  it('takes no options of the model beside a file that says all of it', async () => {
    const options = ['--config', 'run/checkpoint/config.json', '--dim', '8', '--tie-weights'];
    expect(await refusedRun(options, 2)).toMatch(/--dim, --tie-weights: with --config the file says all/);
  });
  it('takes no other options for a run that is resumed', async () => {
    expect(await refused(['train', '--resume', 'run', '--dim', '8'], 2)).toMatch(/--dim:.*resumed/);
  });
});

describe('configurations out of range', () => {
  it.each([
    ['heads that do not divide', ['--heads', '3'], /numHeads: expected a divisor of .*64, found 3/],
    [
      'an sLSTM beyond the last block',
      ['--slstm-at', '1,2'],
      /slstmAt: expected blocks from 0 to 1.*found 2/,
    ],
    ['a ratio that does not fit the blocks', ['--model', 'xLSTM[2:1]'], /groups of 3 blocks, found 2/],
  ])('%s', async (_, options, expected) => {
    expect(await refusedRun(options, 1)).toMatch(expected);
  });

  it('names the path of a key in a file', async () => {
    const config = JSON.parse(await readFile(path('run/checkpoint/config.json'), 'utf8'));
    config.slstm_block.slstm.num_heads = 5;
    await writeFile(path('bad.json'), JSON.stringify(config));
    expect(await refusedRun(['--config', 'bad.json'], 1)).toMatch(
      /bad\.json: slstm_block\.slstm\.num_heads: expected a divisor of .*16, found 5/,
    );
    config.slstm_block.slstm.num_heads = 2;
    config.embedding_dim = 0;
    await writeFile(path('bad.json'), JSON.stringify(config));
    expect(await refused(['inspect', 'bad.json'], 1)).toMatch(
      /bad\.json: embedding_dim: expected a whole number above 0, found 0/,
    );
    await writeFile(path('bad.json'), '{"vocab_size": 256,');
    expect(await refusedRun(['--config', 'bad.json'], 1)).toMatch(/bad\.json: expected JSON/);
  });
});

describe('texts', () => {
  it.each([
    ['missing', undefined, /given\.txt: there is no such file/],
    ['empty', '', /given\.txt: expected text, found nothing/],
    ['binary', Buffer.from([80, 75, 3, 4, 0, 0, 1, 2]), /given\.txt: expected text, found binary data.*at 4/],
    ['of another encoding', Buffer.from('d\xe9j\xe0 vu '.repeat(50), 'latin1'), /given\.txt: expected UTF-8/],
    ['shorter than a batch', 'short', /too short for one batch: 2 × 16 tokens.*need 33, found 5/],
  ])('%s', async (_, content, expected) => {
    if (content !== undefined) await writeFile(path('given.txt'), content);
    expect(await refusedRun([], 1, { data: 'given.txt' })).toMatch(expected);
    if (content === undefined || content === '') {
      expect(await refused(['eval', 'run', 'given.txt'], 1)).toMatch(expected);
    }
  });

  it('a folder without files', async () => {
    await mkdir(path('hollow'), { recursive: true });
    expect(await refusedRun([], 1, { data: 'hollow' })).toMatch(/hollow: the folder holds no files/);
  });

  it('nothing held out to measure on', async () => {
    await writeFile(path('given.txt'), 'short text');
    expect(await refusedRun(['--batch', '1', '--length', '2'], 1, { data: 'given.txt' })).toMatch(
      /held-out text is too short.*at least 2 tokens, found 1/,
    );
  });
});

describe('output folders', () => {
  it('that hold a run are left alone, and it is said how to resume', async () => {
    const before = await contents(path('run'));
    expect(await refused(['train', ...TINY, '--out', 'run'], 1)).toMatch(
      /run already holds a run[\s\S]*xlstm train --resume run/,
    );
    expect(await contents(path('run'))).toEqual(before);
  });
  it('that hold something else, or are no folders', async () => {
    await mkdir(path('home'), { recursive: true });
    await writeFile(path('home/notes.txt'), 'mine');
    expect(await refused(['train', ...TINY, '--out', 'home'], 1)).toMatch(/home is not empty/);
    expect(await readdir(path('home'))).toEqual(['notes.txt']);
    expect(await refused(['train', ...TINY, '--out', 'text.txt'], 1)).toMatch(/text\.txt.*ENOTDIR/);
  });
  it('of runs that cannot be resumed', async () => {
    expect(await refused(['train', '--resume', 'run'], 1)).toMatch(
      /run: the run is complete \(3 of 3 steps\)/,
    );
    expect(await refused(['train', '--resume', 'none'], 1)).toMatch(/none: expected a checkpoint/);
  });
});

describe('checkpoints', () => {
  const weights = 'broken/checkpoint/model.safetensors';
  beforeAll(() => cp(path('run'), path('broken'), { recursive: true }));

  /** Puts a changed copy of the weights in place and lets a model be loaded with it. */
  async function withWeights(change: (bytes: Buffer) => Buffer): Promise<string> {
    await writeFile(path(weights), change(await readFile(path('run/checkpoint/model.safetensors'))));
    return refused(['generate', 'broken', '--prompt', 'The'], 1);
  }

  const withHeader = (text: (header: string) => string) => (bytes: Buffer) => {
    const length = Number(bytes.readBigUInt64LE());
    const header = Buffer.from(text(bytes.toString('utf8', 8, 8 + length)));
    const start = Buffer.alloc(8);
    start.writeBigUInt64LE(BigInt(header.length));
    return Buffer.concat([start, header, bytes.subarray(8 + length)]);
  };

  it.each<[string, (bytes: Buffer) => Buffer, RegExp]>([
    ['cut off in the header', (b) => b.subarray(0, 1000), /expected a header of \d+ bytes.*after 992/],
    ['cut off in the data', (b) => b.subarray(0, b.length - 100), /expected to end by byte \d+ of the data/],
    ['empty', (b) => b.subarray(0, 0), /expected at least 8 bytes, found 0/],
    [
      'with an absurd header length',
      (b) => Buffer.concat([Buffer.alloc(8, 0x7f), b.subarray(8)]),
      /header of at most 100000000 bytes, found a length of 9187201950435737471/,
    ],
    [
      'with a header that is no JSON',
      withHeader((h) => h.replace('{', '[')),
      /expected a JSON object as header/,
    ],
    ['with a false dtype', withHeader((h) => h.replace('"F32"', '"F31"')), /expected a dtype among.*"F31"/],
    ['with false offsets', withHeader((h) => h.replace(/\[0,\d+\]/, '[0,12]')), /takes \d+ bytes, found 12/],
    [
      'with an absurd shape',
      withHeader((h) => h.replace('[256,16]', '[4294967296,1048576]')),
      /of shape \[4294967296, 1048576\] takes \d+ bytes, found 16384/,
    ],
  ])('%s', async (_, change, expected) => {
    const text = await withWeights(change);
    expect(text).toContain(weights);
    expect(text).toMatch(expected);
  });

  it('whose tensors do not fit the configuration', async () => {
    await cp(path('run/checkpoint/model.safetensors'), path(weights));
    const file = path('broken/checkpoint/config.json');
    const config = await readFile(file, 'utf8');
    await writeFile(file, config.replace('"embedding_dim": 16', '"embedding_dim": 32'));
    expect(await refused(['eval', 'broken', 'text.txt'], 1)).toMatch(
      /model\.safetensors: "token_embedding\.weight" has shape \[256, 16\].*\[256, 32\]/,
    );
    await writeFile(file, config.replace('"num_blocks": 2', '"num_blocks": 3'));
    for (const command of [
      ['eval', 'broken', 'text.txt'],
      ['inspect', 'broken'],
    ])
      expect(await refused(command, 1)).toMatch(
        /do not fit the configuration: \d+ missing \(xlstm_block_stack\.blocks\.2/,
      );
    await writeFile(file, config);
  });

  it('whose numbers are none', async () => {
    expect(await withWeights((bytes) => bytes.fill(0xff, bytes.length - 256 * 16 * 4))).toMatch(
      /logits that are no finite numbers/,
    );
  });

  it('without a part', async () => {
    await truncate(path('broken/checkpoint/tokenizer.json'), 5);
    expect(await refused(['generate', 'broken', '--prompt', 'x'], 1)).toMatch(
      /tokenizer\.json: expected JSON/,
    );
    expect(await refused(['generate', 'none', '--prompt', 'x'], 1)).toMatch(/none: expected a checkpoint/);
    expect(await refused(['inspect', 'none'], 1)).toMatch(/none: expected a checkpoint/);
  });
});

describe('prompts', () => {
  it('that are empty', async () => {
    expect(await refused(['generate', 'run', '--prompt', ''], 1)).toMatch(/--prompt: expected some text/);
    await writeFile(path('nothing.txt'), '');
    expect(await refused(['generate', 'run', '--prompt-file', 'nothing.txt'], 1)).toMatch(
      /nothing\.txt: expected text/,
    );
    expect(await refusedRun(['--sample', '9', '--prompt', ''], 1)).toMatch(/--prompt: expected some text/);
  });
  it('that are missing', async () => {
    expect(await refused(['generate', 'run'], 2)).toMatch(/expected --prompt or --prompt-file/);
  });
});

it('an engine that is not there', async () => {
  const hidden = { XLSTM_NATIVE_FOLDER: path('no-such-folder') };
  expect(await refusedRun(['--engine', 'native'], 1, { env: hidden })).toMatch(/there is no native library/);
  // auto says what it takes in its place, and why
  const { code, stderr } = await xlstm(['generate', 'run', '--prompt', 'The', '--max-tokens', '3'], hidden);
  expect(code).toBe(0);
  expect(stderr).toMatch(/engine {2}wasm.*native is not/);
});

describe('a loss that is no number any more', () => {
  it('stops the run, names the step and keeps the last good checkpoint', async () => {
    const diverging = ['--learning-rate', '1e8', '--warmup-steps', '0', '--clip-norm', '0', '--steps', '50'];
    const run = ['train', ...TINY, ...diverging, '--checkpoint-every', '1', '--out', 'diverged'];
    const text = await refused(run, 1);
    const step = Number(/training diverged at step (\d+): loss (NaN|-?Infinity|[\d.e+]+)/.exec(text)?.[1]);
    expect(step).toBeGreaterThan(1);
    expect(text).toContain('diverged/checkpoint');
    expect(await metrics(path('diverged/metrics.jsonl'))).toHaveLength(step - 1);
    const { code, stdout } = await xlstm(['eval', 'diverged', 'text.txt', '--json']);
    expect(code).toBe(0);
    expect(JSON.parse(stdout).loss).toBeGreaterThan(0);
  });
});
