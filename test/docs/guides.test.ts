import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';

vi.setConfig({ testTimeout: 240_000 });

const run = promisify(execFile);
const project = fileURLToPath(new URL('../../', import.meta.url));

interface Script {
  readonly language: 'js' | 'sh';
  readonly text: string;
}

/** The code of a guide in order. A block of js without imports goes on with the program before it. */
function scriptsOf(guide: string): Script[] {
  const scripts: Script[] = [];
  for (const [, language, text] of guide.matchAll(/^```(js|sh)\n([\s\S]*?)^```$/gm)) {
    const before = scripts.at(-1);
    if (language === 'js' && !/^import /m.test(text)) {
      if (before?.language !== 'js') throw new Error(`a program goes on behind a command: ${text}`);
      scripts[scripts.length - 1] = { language, text: `${before.text}\n${text}` };
    } else scripts.push({ language: language as Script['language'], text });
  }
  return scripts;
}

describe('the programs and commands of the guides run from a folder in which xlstm is installed', () => {
  let folder = '';
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'xlstm-guides-'));
  });
  afterAll(() => rm(folder, { recursive: true }));

  it.each([
    ['getting-started.md', 6],
    ['states-and-streaming.md', 5],
    ['own-layers-and-losses.md', 2],
    ['training.md', 7],
    ['mathematics.md', 1],
    ['forecasting.md', 3],
  ])('%s', async (name, expected) => {
    const cwd = join(folder, name);
    await mkdir(join(cwd, 'node_modules', '.bin'), { recursive: true });
    await symlink(project, join(cwd, 'node_modules', 'xlstm'), 'dir');
    await symlink(join(project, 'bin', 'xlstm.js'), join(cwd, 'node_modules', '.bin', 'xlstm'));
    const scripts = scriptsOf(await readFile(join(project, 'docs', name), 'utf8'));
    expect(scripts).toHaveLength(expected);
    for (const [i, { language, text }] of scripts.entries()) {
      const file = `${i}.${language === 'js' ? 'mjs' : 'sh'}`;
      await writeFile(
        join(cwd, file),
        language === 'js' ? text : text.replaceAll(/^npx /gm, 'npx --offline '),
      );
      const command = language === 'js' ? [process.execPath, file] : ['sh', '-e', file];
      const { stdout } = await run(command[0], command.slice(1), { cwd });
      // What they claim they print as a comparison; what else they print are numbers and texts.
      expect(stdout, `${name}, script ${i}`).not.toMatch(/\b(false|NaN|undefined|Infinity)\b/);
    }
  });
});
