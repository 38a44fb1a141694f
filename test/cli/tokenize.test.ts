import { readFile, truncate, writeFile } from 'node:fs/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import { metrics, SHORT, TINY, tinyOn, workplace } from './command.ts';

const { path, xlstm, begun } = workplace();

async function run(args: readonly string[]): Promise<string> {
  const { code, stderr } = await xlstm(args);
  expect(code, stderr).toBe(0);
  return stderr;
}

async function refused(args: readonly string[]): Promise<string> {
  const { code, stderr } = await xlstm(args);
  expect(code).not.toBe(0);
  return stderr;
}

const losses = async (folder: string): Promise<[number, number | undefined][]> =>
  (await metrics(path(folder, 'metrics.jsonl'))).map((line) => [line.loss, line.validationLoss]);

beforeAll(async () => {
  await writeFile(path('other.txt'), 'Some say the world will end in fire, some say in ice.\n'.repeat(60));
  const stderr = await run(['tokenize', 'text.txt', '--documents', '--out', 'text.tokens']);
  expect(stderr).toMatch(/text\.tokens: 3,441 tokens of 1 document, 7\.26 kB \(u16\)/);
  await run(['tokenize', 'other.txt', 'text.txt', '--documents', '--out', 'other.tokens']);
});

describe('xlstm train --data FILE.tokens', () => {
  it.each(['contiguous', 'shuffled'])('is xlstm train on the texts, to the bit: %s', async (order) => {
    const options = ['--order', order, '--steps', '8', '--evaluate-every', '4'];
    const [text, tokens] = [`${order}-text`, `${order}-tokens`];
    const shares = ['--validation', 'other.txt', '--documents'];
    await run(['train', ...TINY, ...options, ...shares, '--out', text]);
    const held = ['--validation', 'other.txt'];
    const stderr = await run(['train', ...tinyOn('text.tokens'), ...options, ...held, '--out', tokens]);
    expect(stderr).toMatch(/text +3\.44k tokens to train on/);
    expect(await losses(tokens)).toEqual(await losses(text));
    const weights = (folder: string) => readFile(path(folder, 'checkpoint/model.safetensors'));
    expect((await weights(tokens)).equals(await weights(text))).toBe(true);
  });

  it('goes on where it stood, and begins with a model of the same tokenizer', async () => {
    await run(['train', ...tinyOn('text.tokens'), '--order', 'shuffled', '--steps', '4', '--out', 'short']);
    await run(['train', '--resume', 'short', '--steps', '6', '--sample', '0']);
    expect(await losses('short')).toHaveLength(6);
    await run(['tokenize', 'text.txt', '--tokenizer', 'short', '--out', 'again.tokens']);
    expect(await readFile(path('again.tokens'))).toEqual(await readFile(path('text.tokens')));
    await run([
      'train',
      '--init',
      'short',
      '--data',
      'again.tokens',
      ...SHORT,
      '--steps',
      '2',
      '--out',
      'on',
    ]);
    const json = ['short', 'checkpoint', 'tokenizer.json'];
    await run(['tokenize', 'text.txt', '--tokenizer', path(...json), '--out', 'json.tokens']);
    expect(await readFile(path('json.tokens'))).toEqual(await readFile(path('text.tokens')));
    expect(await refused(['train', '--resume', 'short', '--steps', '8', '--data', 'other.tokens'])).toMatch(
      /other\.tokens: not the texts of this run: 6682 tokens, the run was started with 3441/,
    );
  });

  it('refuses what does not belong together', async () => {
    await run(['tokenize', 'text.txt', '--out', 'bytes.tokens']);
    const into = ['--steps', '1', '--out', 'never'];
    await run(['train', ...tinyOn('text.tokens'), '--steps', '1', '--out', 'model']);
    expect(await refused(['train', '--init', 'model', '--data', 'bytes.tokens', ...SHORT, ...into])).toMatch(
      /bytes\.tokens: its tokens are of another tokenizer: one of 256 tokens .* 257 tokens.*\n.*xlstm tokenize TEXTS --tokenizer/,
    );
    expect(await refused(['train', ...tinyOn('text.tokens', 'text.txt'), ...into])).toMatch(
      /token files alone/,
    );
    expect(await refused(['train', ...tinyOn('text.tokens'), '--documents', ...into])).toMatch(
      /--documents: a token/,
    );
    await truncate(path('bytes.tokens'), 4000);
    expect(await refused(['train', ...tinyOn('bytes.tokens'), ...into])).toMatch(
      /bytes\.tokens: the token file is cut off: it has 4000 bytes and no end/,
    );
  });
});

it('xlstm tokenize takes no file that is there, and a tokenizer that is', async () => {
  expect(await refused(['tokenize', 'text.txt', '--out', 'text.tokens'])).toMatch(
    /text\.tokens: is there already/,
  );
  expect(await refused(['tokenize', 'text.txt', '--out', 'no/a.tokens'])).toMatch(/a\.tokens: cannot be/);
  expect(await refused(['tokenize', 'text.txt', '--tokenizer', 'none', '--out', 'a.tokens'])).toMatch(/none/);
  expect(await refused(['tokenize', 'none.txt', '--out', 'a.tokens'])).toMatch(
    /none\.txt: there is no such file/,
  );
});

describe('--weights and --field', () => {
  it('give each path its share, and are kept for --resume', async () => {
    await writeFile(path('records.jsonl'), `${JSON.stringify({ body: 'Call me Ishmael. '.repeat(20) })}\n`);
    const from = ['--order', 'shuffled', '--field', 'body', '--weights', '3', '1'];
    const data = tinyOn('text.txt', 'records.jsonl');
    const stderr = await run(['train', ...data, ...from, '--steps', '3', '--out', 'mixed']);
    // 3182 tokens of one, and a third as many of the other, which has 306.
    expect(stderr).toMatch(/text +4\.24k tokens to train on, 292 held out/);
    await run(['train', '--resume', 'mixed', '--steps', '4', '--sample', '0']);
    await run(['train', ...data, ...from, '--steps', '4', '--out', 'whole']);
    expect((await losses('mixed')).slice(0, 1)).toEqual((await losses('whole')).slice(0, 1));
  });

  it('say what is wrong', async () => {
    const into = ['--steps', '1', '--out', 'never'];
    expect(await refused(['train', ...TINY, ...into, '--weights', '1'])).toMatch(/--weights: .*contiguous/);
    expect(await refused(['train', ...TINY, ...into, '--order', 'shuffled', '--weights', '1', '2'])).toMatch(
      /--weights: expected one for each path of --data, 1, found 2/,
    );
    expect(await refused(['train', ...TINY, ...into, '--order', 'shuffled', '--weights', '0'])).toMatch(
      /--weights/,
    );
    await writeFile(path('bad.jsonl'), '{"content": "x"}\n');
    expect(await refused(['tokenize', 'bad.jsonl', '--out', 'bad.tokens'])).toMatch(
      /bad\.jsonl: line 1: expected a field "text", found "content"/,
    );
  });
});

describe('--order documents', () => {
  const order = ['--order', 'documents', '--validation', 'other.txt', '--steps'];

  it('is the same for texts and their token file, and goes on where it stood', async () => {
    const poems = Array.from({ length: 30 }, (_, i) => `Poem ${i}: ${'fire and ice '.repeat(i % 7)}`);
    await writeFile(path('poems.jsonl'), poems.map((text) => JSON.stringify({ text })).join('\n'));
    await run(['tokenize', 'poems.jsonl', '--documents', '--out', 'poems.tokens']);
    // More steps than an epoch has.
    await run(['train', ...tinyOn('poems.jsonl'), '--documents', ...order, '50', '--out', 'poems-text']);
    await run(['train', ...tinyOn('poems.tokens'), ...order, '50', '--out', 'poems-whole']);
    const broken = await begun(
      ['train', ...tinyOn('poems.tokens'), ...order, '50', '--out', 'poems'],
      'poems',
    );
    broken.process.kill('SIGINT');
    await broken.ended;
    const done = (await losses('poems')).length;
    expect(done).toBeLessThan(50);
    await run(['train', '--resume', 'poems', '--sample', '0']);
    const whole = await losses('poems-whole');
    expect(await losses('poems-text')).toEqual(whole);
    expect(await losses('poems')).toEqual(whole);
  });

  it('wants a token that starts documents', async () => {
    const into = ['1', '--out', 'never'];
    expect(await refused(['train', ...TINY, ...order, ...into])).toMatch(
      /--order documents: the tokenizer has no token that starts a document\n.*--documents/,
    );
    expect(await refused(['train', ...TINY, '--order', 'random', '--steps', '1'])).toMatch(
      /--order: expected contiguous, documents, shuffled, found "random"/,
    );
  });
});
