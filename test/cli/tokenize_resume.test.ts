import { existsSync } from 'node:fs';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, expect, it } from 'vitest';
import { Random } from '../../src/random.ts';
import { workplace } from './command.ts';

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
    'note    what is done is in stopped.tokens.partial: the same command goes on from there\n',
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
