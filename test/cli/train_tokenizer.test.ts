import { readFile, writeFile } from 'node:fs/promises';
import { describe, expect, it, vi } from 'vitest';
import { SubwordTokenizer } from '../../src/data/subword/subword_tokenizer.ts';
import { metrics, TINY, tinyOn, workplace } from './command.ts';

vi.setConfig({ testTimeout: 120_000, hookTimeout: 60_000 });

const { path, xlstm } = workplace();

async function done(args: readonly string[]): Promise<{ stdout: string; stderr: string }> {
  const { code, stdout, stderr } = await xlstm(args);
  expect(code, stderr).toBe(0);
  return { stdout, stderr };
}

const json = async (...names: string[]): Promise<unknown> =>
  JSON.parse(await readFile(path(...names), 'utf8'));

describe('xlstm train --tokenizer', () => {
  it('trains a tokenizer on the text to train on alone, and keeps it with the run', async () => {
    const held = 'Zephyr quokka zephyr quokka zephyr quokka.\n';
    await writeFile(path('mixed.txt'), `${await readFile(path('text.txt'), 'utf8')}${held.repeat(7)}`);
    const options = [...tinyOn('mixed.txt'), '--tokenizer', 'bpe:300', '--length', '8', '--out', 'run'];
    const { stdout, stderr } = await done(['train', ...options, '--steps', '6', '--checkpoint-every', '3']);
    expect(stderr).toMatch(/^tokens {2}300, of \d\.\d\d bytes on average in these texts/m);
    const tokenizer = await SubwordTokenizer.create(await json('run', 'checkpoint', 'tokenizer.json'));
    expect(tokenizer.vocabSize).toBe(300);
    expect(tokenizer.encode(' whale').length).toBe(1);
    expect(tokenizer.encode('Zephyr quokka').length).toBeGreaterThan(8);
    expect(await json('run', 'checkpoint', 'config.json')).toMatchObject({ vocab_size: 300 });
    // Losses are told by bytes, whatever a token has of them.
    const { validationLoss } = (await metrics(path('run', 'metrics.jsonl')))[5];
    const [, perByte] = /validation loss (\S+) nats per byte/.exec(stdout) ?? [];
    expect(Number(perByte)).toBeLessThan(validationLoss);
    expect(Number(perByte)).toBeGreaterThan(validationLoss / 6);
  });

  it('goes on with the tokenizer of the run, and begins others with it', async () => {
    const before = await json('run', 'checkpoint', 'tokenizer.json');
    expect((await done(['train', '--resume', 'run', '--steps', '8', '--sample', '0'])).stderr).not.toMatch(
      /^tokens/m,
    );
    expect(await metrics(path('run', 'metrics.jsonl'))).toHaveLength(8);
    await done([
      'train',
      '--data',
      'text.txt',
      '--init',
      'run',
      '--batch',
      '2',
      '--steps',
      '2',
      '--out',
      'next',
    ]);
    for (const run of ['run', 'next'])
      expect(await json(run, 'checkpoint', 'tokenizer.json')).toEqual(before);
    const { stdout } = await done(['generate', 'next', '--prompt', 'The', '--max-tokens', '5', '--json']);
    expect(JSON.parse(stdout).tokens).toBe(5);
  });

  it('takes a file or that of a model; documents begin with their token', async () => {
    await done([
      'tokenizer',
      'train',
      'text.txt',
      '--vocabulary',
      '280',
      '--special',
      '<|document|>',
      '--out',
      't.json',
    ]);
    const run = ['train', ...TINY, '--documents', '--steps', '2'];
    await done([...run, '--tokenizer', 't.json', '--out', 'from-file']);
    await done([...run, '--tokenizer', 'from-file/checkpoint', '--out', 'from-folder']);
    await done([...run, '--tokenizer', 'bpe:280', '--out', 'trained']);
    for (const name of ['from-file', 'from-folder', 'trained']) {
      const content = await json(name, 'checkpoint', 'tokenizer.json');
      expect([...(await SubwordTokenizer.create(content)).specials]).toEqual([['<|document|>', 0]]);
    }
    expect(await json('from-folder', 'checkpoint', 'tokenizer.json')).toEqual(await json('t.json'));
  });

  it('is that of the token files where there are some', async () => {
    await done(['tokenize', 'text.txt', '--tokenizer', 't.json', '--out', 'text.tokens']);
    await done(['train', ...tinyOn('text.tokens'), '--steps', '2', '--out', 'of-tokens']);
    expect(await json('of-tokens', 'checkpoint', 'tokenizer.json')).toEqual(await json('t.json'));
  });

  it.each([
    ['bpe:100', [], 2, 'Expected a whole number from 257 to 262144'],
    ['bpe', [], 2, 'Expected bytes, bpe:N such as bpe:8000, or the path'],
    ['no.json', [], 1, 'no.json: there is no such file'],
    ['nowhere', [], 1, 'nowhere: '],
    ['text.txt', [], 1, 'text.txt: expected JSON'],
    ['broken.json', [], 1, 'broken.json: model.merges[0]: expected two tokens of the vocabulary'],
    ['bpe:300', ['--init', 'run'], 2, '--tokenizer: with --init run the tokens are those'],
    [
      'bpe:300',
      ['--config', 'small.json'],
      1,
      'small.json: vocab_size: the tokenizer needs at least 300, found 64',
    ],
    [
      'bpe:300',
      ['--validation', 'text.tokens'],
      2,
      '--tokenizer bpe:300: the held-out token files are of a tokenizer',
    ],
    ['bytes', ['--data', 'text.tokens'], 2, '--tokenizer: a token file says itself what its tokens are'],
    ['run/checkpoint', ['--documents'], 2, '--documents: the tokenizer of run/checkpoint has no token'],
  ])('refuses %s %j', async (choice, more, status, message) => {
    const content = (await json('run', 'checkpoint', 'tokenizer.json')) as { model: object };
    await writeFile(
      path('broken.json'),
      JSON.stringify({ ...content, model: { ...content.model, merges: ['a'] } }),
    );
    await writeFile(path('small.json'), '{"architecture": "gru", "vocab_size": 64, "embedding_dim": 8}');
    const data = more.includes('--data') ? [] : ['--data', 'text.txt'];
    const args = ['train', ...data, '--steps', '2', '--out', 'refused', '--tokenizer', choice, ...more];
    const { code, stderr } = await xlstm(args);
    expect(code, stderr).toBe(status);
    expect(stderr).toContain(message);
  });
});

describe('xlstm generate --message', () => {
  it('asks by the chat template of the model', async () => {
    const template = '{% for m in messages %}<|document|>{{ m.role }}: {{ m.content }}\n{% endfor %}';
    await writeFile(path('from-file', 'checkpoint', 'chat_template.jinja'), template);
    const asked = [
      'generate',
      'from-file',
      '--message',
      'The <|document|> whale?',
      '--max-tokens',
      '5',
      '--json',
    ];
    const { prompt, tokens } = JSON.parse((await done(asked)).stdout);
    expect(prompt).toBe('The <|document|> whale?');
    expect(tokens).toBeLessThanOrEqual(5);
  });

  it.each([
    [['run', '--message', 'Who?'], 2, 'the tokenizer has no chat template'],
    [['from-file', '--message', ''], 1, '--message: expected some text, found none'],
    [['from-file', '--message', 'a', '--prompt', 'b'], 2, 'found --prompt and --message'],
  ])('refuses %j', async (args, status, message) => {
    const { code, stderr } = await xlstm(['generate', ...args]);
    expect(code, stderr).toBe(status);
    expect(stderr).toContain(message);
  });
});
