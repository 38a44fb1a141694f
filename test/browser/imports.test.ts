import { existsSync, readFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import ts from 'typescript';
import { expect, it } from 'vitest';

const root = new URL('../../', import.meta.url);
const { browser } = JSON.parse(readFileSync(new URL('package.json', root), 'utf8'));
/** What bundles for browsers hold nothing of. */
const leftOut = new Set(
  Object.keys(browser)
    .filter((path) => browser[path] === false)
    .map((path) => new URL(path, root).href),
);

/** The packages that a built file and all that it imports, now or later, name; project files are followed. */
function packagesOf(entry: string): string[] {
  const packages = new Set<string>();
  const seen = new Set<string>();
  const follow = (url: URL): void => {
    if (seen.has(url.href) || leftOut.has(url.href)) return;
    seen.add(url.href);
    // preProcessFile lists static imports and dynamic ones whose name is a literal: what a bundler follows.
    for (const { fileName } of ts.preProcessFile(readFileSync(url, 'utf8')).importedFiles) {
      if (fileName.startsWith('.')) follow(new URL(fileName, url));
      else packages.add(fileName);
    }
  };
  follow(new URL(`dist/${entry}`, root));
  return [...packages].sort();
}

it.each([
  ['index.js', ['@huggingface/jinja', '@huggingface/tokenizers', 'valibot', 'wasm-feature-detect']],
  ['nn.js', ['valibot']],
  ['graph.js', []],
  ['onnx.js', ['valibot']],
  ['forecasting.js', ['@huggingface/tokenizers', 'csv-parse/sync', 'valibot', 'wasm-feature-detect']],
])('reaches no module of Node and no package of the command line from %s', (entry, packages) => {
  expect(packagesOf(entry)).toEqual(packages);
});

it('would notice one', () => {
  for (const href of leftOut) expect(existsSync(new URL(href)), href).toBe(true);
  expect(packagesOf('node.js').filter(isBuiltin)).toContain('node:fs/promises');
  expect(packagesOf('cli/main.js')).toContain('commander');
});
