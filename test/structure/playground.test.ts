import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { expect, it } from 'vitest';

const folder = fileURLToPath(new URL('../../playground/src/', import.meta.url));
const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) =>
  name.endsWith('.ts'),
);

/** What browsers have of the public API. */
const PUBLIC = ['xlstm', 'xlstm/forecasting'];

/** Packages of the page's own. */
const OWN = ['fflate'];

const importsOf = (text: string): string[] =>
  ts.preProcessFile(text, true, true).importedFiles.map(({ fileName }) => fileName);

it('the page stands on the public API alone', () => {
  expect(files.length).toBeGreaterThan(10);
  const others = files.flatMap((file) =>
    importsOf(readFileSync(folder + file, 'utf8'))
      .filter(
        (name) =>
          ![...PUBLIC, ...OWN].includes(name) &&
          (!name.startsWith('.') || name.includes('/src/') || name.includes('/dist/')),
      )
      .map((name) => `${file} → ${name}`),
  );
  expect(others).toEqual([]);
});

it('what draws does not compute: only the worker and its types reach the library', () => {
  const arrows = files
    .filter((file) => !file.startsWith('worker/'))
    .flatMap((file) =>
      importsOf(readFileSync(folder + file, 'utf8')).filter((name) => PUBLIC.includes(name)),
    );
  expect(arrows).toEqual([]);
});

it('its files are short', () => {
  const long = files.filter((file) => readFileSync(folder + file, 'utf8').split('\n').length > 400);
  expect(long).toEqual([]);
});
