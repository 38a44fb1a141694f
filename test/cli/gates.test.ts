import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { workplace } from './command.ts';

const { path, xlstm } = workplace();
const model = fileURLToPath(new URL('../../playground/models/whale', import.meta.url));

it('inspect --gates writes a page of a model and a text', async () => {
  const { code, stdout, stderr } = await xlstm([
    'inspect',
    model,
    '--gates',
    'A <whale>',
    '--out',
    'gates.html',
  ]);
  expect(code, stderr).toBe(0);
  expect(stdout).toContain('gates of 2 cells over 9 tokens: gates.html');
  const page = await readFile(path('gates.html'), 'utf8');
  expect(page).toContain('A &#60;whale&#62;');
  expect(page).toContain('blocks.1: sLSTM, 4 heads');
  expect(page).not.toMatch(/NaN|undefined|src=|href=/);
});

it.each([
  [['--gates', 'A whale'], '--out'],
  [['--out', 'other.html'], '--gates'],
  [['--gates', 'A whale', '--out', 'nowhere/gates.html'], 'there is no folder nowhere'],
  [['--gates', '', '--out', 'other.html'], 'expected a text'],
])('and refuses %j', async (options, message) => {
  const { code, stderr } = await xlstm(['inspect', model, ...options]);
  expect(code).not.toBe(0);
  expect(stderr).toContain(message);
});
