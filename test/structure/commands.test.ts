import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../../', import.meta.url));
const read = (path: string): string => readFileSync(root + path, 'utf8');
const { scripts } = JSON.parse(read('package.json'));

function sources(): string[] {
  const files = readdirSync(`${root}src`, { recursive: true, encoding: 'utf8' });
  return files
    .filter((file) => /(?<!\.test|\.d)\.ts$/.test(file) && !file.split('/').includes('testing'))
    .map((file) => `src/${file}`);
}

/** The texts of a program that a person may come to see: its string literals, comments left out. */
function texts(file: string): string[] {
  const found: string[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isStringLiteralLike(node) || ts.isTemplateHead(node) || ts.isTemplateMiddleOrTemplateTail(node))
      found.push(node.text);
    node.forEachChild(visit);
  };
  visit(ts.createSourceFile(file, read(file), ts.ScriptTarget.Latest));
  return found;
}

const shown = sources().flatMap((file) => texts(file).map((text) => ({ file, text })));
const documents = ['README.md', ...readdirSync(`${root}docs`).filter((name) => name.endsWith('.md'))].map(
  (name) => ({ file: name, text: read(name === 'README.md' ? name : `docs/${name}`) }),
);
const matches = (all: readonly { file: string; text: string }[], pattern: RegExp) =>
  all.flatMap(({ file, text }) => [...text.matchAll(pattern)].map(([, name]) => ({ file, name })));

describe('the commands that messages and documents name', () => {
  it('are commands of the program', () => {
    const { stdout } = spawnSync(process.execPath, [`${root}bin/xlstm.js`, '--help'], { encoding: 'utf8' });
    const commands = [...stdout.matchAll(/^ {2}([a-z-]+)[ [].* {2}/gm)].map(([, name]) => name);
    expect(commands).toContain('build-native');
    const named = matches([...shown, ...documents], /\b(?:npx xlstm|"xlstm|^ {2}xlstm)\s+([a-z][a-z-]*)/gm);
    expect(named.length).toBeGreaterThan(40);
    expect(named.filter(({ name }) => !commands.includes(name))).toEqual([]);
  });

  it('are scripts of package.json, which the published package lacks: one place names them, for checkouts', () => {
    const named = matches(shown, /\bnpm run ([a-z:-]+)/g);
    expect(new Set(named.map(({ file }) => file))).toEqual(new Set(['src/compute/engines/remedies.ts']));
    const everywhere = [...named, ...matches(documents, /\bnpm run ([a-z:-]+)/g)];
    expect(everywhere.filter(({ name }) => !(name in scripts))).toEqual([]);
  });

  it('install no optional dependency by its name, which would take the newest version of it', () => {
    const installs = matches(shown, /\bnpm install ([^"\n]*)/g);
    expect(installs.length).toBeGreaterThan(0);
    for (const { file, name } of installs) expect(name, file).not.toMatch(/koffi|native/);
  });
});
