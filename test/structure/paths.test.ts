import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const root = fileURLToPath(new URL('../../', import.meta.url));

/** As git knows them: what is built is left out. */
const files = execFileSync('git', ['ls-files', '*.md', '*.ts', '*.js', '*.h', '*.cc'], {
  cwd: root,
  encoding: 'utf8',
})
  .split('\n')
  .filter((file) => file !== '' && existsSync(root + file));

/** Paths from the root of the repository: a longer path that ends like one is none. */
const pathsIn = (text: string): string[] =>
  [...text.matchAll(/(?<![\w./-])src\/[\w./-]*\w\/?/g)].map(([path]) => path);

test('every path below src/ that a text or a comment names is there', () => {
  expect(files.length).toBeGreaterThan(200);
  const missing = files.flatMap((file) =>
    pathsIn(readFileSync(root + file, 'utf8'))
      .filter((path) => !existsSync(root + path))
      .map((path) => `${file}: ${path}`),
  );
  expect(missing).toEqual([]);
});

test('paths are found in running text, in comments and in code', () => {
  // Joined, so that it is no path of this file.
  const other = ['src', 'a_b.test.ts'].join('/');
  expect(pathsIn(`See \`src/nn/model.ts\`, (src/lab/arena/). // ${other}.`)).toEqual([
    'src/nn/model.ts',
    'src/lab/arena/',
    other,
  ]);
  expect(pathsIn('../src/index.ts node_modules/x/src/y.js ./src/z.ts')).toEqual([]);
});
