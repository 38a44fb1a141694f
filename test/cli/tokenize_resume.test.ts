import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { Random } from '../../src/random.ts';
import { bin, workplace } from './command.ts';

const { path, xlstm, start } = workplace();

/** Lines with a word each that a tokenizer has not met before: it takes time for those. */
function lines(bytes: number, seed: number): string {
  const random = new Random(seed);
  let text = '';
  while (text.length < bytes)
    text += `The white whale swims in the wide and restless sea ${random.uint32()}\n`;
  return text;
}

const FILES = ['1.txt', '2.txt', '3.txt', '4.txt', '5.txt', '6.txt'];

beforeAll(async () => {
  // Each is a part of its own.
  for (const [seed, name] of FILES.entries()) await writeFile(path(name), lines(2 ** 20, seed));
  const { code, stderr } = await xlstm(['tokenizer', 'train', 'text.txt', '--vocabulary', '300']);
  expect(code, stderr).toBe(0);
});

const args = (out: string, ...more: string[]): string[] => [
  'tokenize',
  ...FILES,
  '--tokenizer',
  'tokenizer.json',
  '--out',
  out,
  ...more,
];

it('xlstm tokenize goes on after kill -9, and gives the same bytes on any number of threads', async () => {
  const { process, ended } = start(args('killed.tokens', '--threads', '1'));
  while (process.exitCode === null && !existsSync(path('killed.tokens.partial/progress.json')))
    await sleep(5);
  process.kill('SIGKILL');
  await ended;
  expect(await readdir(path())).not.toContain('killed.tokens');
  const refused = await xlstm(['tokenize', 'text.txt', '--out', 'killed.tokens']);
  expect(refused.code).toBe(1);
  expect(refused.stderr).toMatch(
    /^error: killed\.tokens\.partial: cannot go on .*the tokenizer is another: one of 256 tokens .*\n.*delete the folder/,
  );
  const went = await xlstm(args('killed.tokens'));
  expect(went.code, went.stderr).toBe(0);
  expect(went.stderr).toMatch(/^note {4}goes on after the first [\d.]+ MB of the texts\n/);
  const made = await Promise.all(
    ['1', '3'].map((threads) => xlstm(args(`${threads}.tokens`, '--threads', threads))),
  );
  for (const { code, stderr } of made) expect(code, stderr).toBe(0);
  const [killed, one, three] = await Promise.all(
    ['killed', '1', '3'].map((name) => readFile(path(`${name}.tokens`))),
  );
  expect(one.equals(killed)).toBe(true);
  expect(three.equals(killed)).toBe(true);
  expect((await readdir(path())).filter((name) => name.includes('partial'))).toEqual([]);
});

it('xlstm tokenize stops at Ctrl-C with what is done, and says how to go on', async () => {
  const { process, ended } = start(args('stopped.tokens'));
  while (process.exitCode === null && !existsSync(path('stopped.tokens.partial/tokens'))) await sleep(5);
  process.kill('SIGINT');
  const { code, stderr } = await ended;
  expect(code, stderr).toBe(130);
  expect(stderr).toBe(
    'note    what is done is in stopped.tokens.partial: the same command goes on from there, over the same texts\n',
  );
  expect((await xlstm(args('stopped.tokens'))).code).toBe(0);
});

it('xlstm tokenize names the text that a thread has no tokens for', async () => {
  const words = new URL('../golden/tokenizers/words.json', import.meta.url);
  const json = JSON.parse(await readFile(words, 'utf8'));
  await writeFile(path('words.json'), JSON.stringify({ ...json, model: { ...json.model, unk_token: null } }));
  await writeFile(path('z.txt'), 'zzzz');
  const made = ['tokenize', 'z.txt', '--tokenizer', 'words.json', '--out', 'z.tokens'];
  const { code, stderr } = await xlstm([...made, '--threads', '2']);
  expect(stderr).toMatch(/^error: z\.txt: encode: the text holds what the tokenizer has no token for/);
  expect(code).toBe(1);
  expect(existsSync(path('z.tokens.partial'))).toBe(false);
});

describe.skipIf(process.platform === 'win32')('a disk that is full', () => {
  /** Files may have so many blocks of 512 bytes. */
  const limited = (blocks: number, command: readonly string[]): string[] => [
    '-c',
    `ulimit -f ${blocks}; exec "$0" "$@"`,
    process.execPath,
    bin,
    ...command,
  ];
  const ended = (blocks: number, command: readonly string[]): { status: number | null; stderr: string } =>
    spawnSync('sh', limited(blocks, command), { cwd: path(), encoding: 'utf8' });

  it('ends xlstm tokenize with one message, and what is done stays for the same command', async () => {
    const command = args('full.tokens', '--threads', '1');
    const { status, stderr } = ended(6000, command);
    expect(status, stderr).toBe(1);
    expect(stderr).toMatch(
      /^note .*over the same texts\nerror: full\.tokens: cannot be written \(EFBIG.*\)\n {2}Make room and give the same command again: it goes on from full\.tokens\.partial\.\n$/,
    );
    expect(existsSync(path('full.tokens'))).toBe(false);
    const went = await xlstm(command);
    expect(went.code, went.stderr).toBe(0);
    expect(went.stderr).toMatch(/^note {4}goes on after/);
    expect((await xlstm(['inspect', 'full.tokens', '--verify'])).code).toBe(0);
  });

  it('leaves nothing where it is full before anything was kept', async () => {
    const { status, stderr } = ended(1, ['tokenize', '1.txt', '--out', 'none.tokens']);
    expect(status).toBe(1);
    expect(stderr).toMatch(
      /error: none\.tokens: cannot be written \(EFBIG.*\n.*nothing was left on this one\.\n$/,
    );
    expect((await readdir(path())).filter((name) => name.includes('none'))).toEqual([]);
  });
});

it('xlstm tokenize leaves nothing of texts that it refuses', async () => {
  const parquet = fileURLToPath(new URL('../golden/texts/none.parquet', import.meta.url));
  await writeFile(path('bad.jsonl'), '{"text": "good"}\n{"text": 5}\n');
  for (const [text, what] of [
    [parquet, /expected a column "body", found /],
    ['bad.jsonl', /bad\.jsonl: line 1: expected a field "body", found "text"/],
    ['gone.txt', /gone\.txt: there is no such file/],
  ] as const) {
    const { code, stderr } = await xlstm(['tokenize', text, '--field', 'body', '--out', 'bad.tokens']);
    expect(code).toBe(1);
    expect(stderr).toMatch(what);
    expect(stderr.match(/^error: /gm)).toHaveLength(1);
  }
  expect((await readdir(path())).filter((name) => name.startsWith('bad.tokens'))).toEqual([]);
});
