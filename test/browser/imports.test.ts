import { readFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import ts from 'typescript';
import { expect, it } from 'vitest';

/** The packages that a built file and all that it imports, now or later, name; project files are followed. */
function packagesOf(entry: string): string[] {
  const packages = new Set<string>();
  const seen = new Set<string>();
  const follow = (url: URL): void => {
    if (seen.has(url.href)) return;
    seen.add(url.href);
    // preProcessFile lists static imports and dynamic ones whose name is a literal: what a bundler follows.
    for (const { fileName } of ts.preProcessFile(readFileSync(url, 'utf8')).importedFiles) {
      if (fileName.startsWith('.')) follow(new URL(fileName, url));
      else packages.add(fileName);
    }
  };
  follow(new URL(`../../dist/${entry}`, import.meta.url));
  return [...packages].sort();
}

it('reaches no module of Node from the entry that browsers load', () => {
  expect(packagesOf('index.js')).toEqual(['valibot']);
});

it('would notice one', () => {
  expect(packagesOf('node.js').filter(isBuiltin)).toContain('node:fs/promises');
});
