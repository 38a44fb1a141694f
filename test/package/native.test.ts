import { execFile } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findCompiler } from '../../src/compute/engines/native/compiler.ts';
import { project } from './packed.ts';

interface Target {
  readonly platform: string;
  readonly arch: string;
}
interface Packages {
  readonly targets: readonly Target[];
  packPlatform(to: string, target: Target, library: Uint8Array): Promise<{ readonly archive: string }>;
  packMain(to: string): Promise<{ readonly archive: string }>;
}
const script = new URL('../../scripts/packages.js', import.meta.url).href;
const { packMain, packPlatform, targets }: Packages = await import(script);

const run = promisify(execFile);
const TIMEOUT = 240_000;

const program = `
import { trainAndWrite } from './consumer.js';
console.log(JSON.stringify(await trainAndWrite(process.argv[2])));
`;

interface Outcome {
  readonly engine: string;
  readonly losses: readonly number[];
}

const target = targets.find(({ platform, arch }) => platform === process.platform && arch === process.arch);
// Where the build could make a library it is there; where it could not there is nothing to install.
const buildable = target !== undefined && findCompiler().present;
if (!buildable)
  console.warn('the packages of a release were not tried: no C++ compiler, or no package for here');

describe.runIf(buildable)('the packages of a release', () => {
  let folder = '';
  let bin = '';
  const host = target as Target;
  const own = `@xlstm/native-${process.platform}-${process.arch}`;
  const modules = (...path: string[]): string => join(folder, 'node_modules', ...path);

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'xlstm-release-'));
    const packages = join(folder, 'packages');
    await mkdir(packages);
    const built = join(project, 'dist', 'native');
    const file = (await readdir(built)).find((name) => /^kernels\.(so|dylib)$/.test(name)) as string;
    const natives: Record<string, string> = {};
    for (const each of targets) {
      // Of the others npm may take none.
      const bytes = each === host ? await readFile(join(built, file)) : Buffer.from('of another platform');
      const { archive } = await packPlatform(packages, each, bytes);
      natives[`@xlstm/native-${each.platform}-${each.arch}`] = `file:packages/${basename(archive)}`;
    }
    const { archive } = await packMain(packages);
    // While they are in no registry the packages of the platforms are named here; npm chooses among them as it would there.
    await writeFile(
      join(folder, 'package.json'),
      JSON.stringify({
        type: 'module',
        dependencies: { xlstm: `file:packages/${basename(archive)}` },
        optionalDependencies: natives,
      }),
    );
    await run('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline'], {
      cwd: folder,
      shell: process.platform === 'win32',
    });
    await copyFile(join(project, 'test/package/consumer.js'), join(folder, 'consumer.js'));
    await writeFile(join(folder, 'train.js'), program);
    // A folder for PATH with Node and nothing else: no compiler, no npm.
    bin = join(folder, 'bin');
    await mkdir(bin);
    await symlink(process.execPath, join(bin, 'node'));
  }, TIMEOUT);
  afterAll(() => rm(folder, { recursive: true, force: true }));

  const inFolder = (args: readonly string[], env: NodeJS.ProcessEnv = {}, cwd = folder) =>
    run(join(bin, 'node'), args, { cwd, env: { PATH: bin, ...env } }).then(
      ({ stdout, stderr }) => ({ code: 0, text: stdout + stderr, stdout }),
      (error: Error & { code: number; stdout: string; stderr: string }) => ({
        code: error.code,
        text: error.stdout + error.stderr,
        stdout: error.stdout,
      }),
    );
  const trained = async (engine: string): Promise<Outcome> => {
    const { code, text, stdout } = await inFolder(['train.js', engine]);
    expect(code, text).toBe(0);
    return JSON.parse(stdout);
  };
  const cli = (args: readonly string[], env?: NodeJS.ProcessEnv, cwd?: string) =>
    inFolder([modules('xlstm', 'bin', 'xlstm.js'), ...args], env, cwd);

  it('have no scripts, and versions that belong together', async () => {
    const main = JSON.parse(await readFile(modules('xlstm', 'package.json'), 'utf8'));
    const native = JSON.parse(await readFile(modules(own, 'package.json'), 'utf8'));
    expect(main.scripts ?? native.scripts).toBeUndefined();
    expect(main.optionalDependencies).toMatchObject({ [own]: native.version, koffi: expect.any(String) });
    expect(native.version).toBe(main.version);
    expect(await readdir(modules('@xlstm'))).toEqual([basename(own)]);
  });

  it('installed without scripts or a compiler, train on the native engine as on the other', async () => {
    expect(await readdir(modules('xlstm', 'dist'))).not.toContain('native');
    const { engine, losses } = await trained('auto');
    expect(engine).toBe('native');
    const wasm = await trained('wasm');
    expect(wasm.engine).toBe('wasm');
    expect(losses).toHaveLength(2);
    for (const [i, loss] of losses.entries()) expect(loss).toBeCloseTo(wasm.losses[i], 5);
    const { text } = await cli(['doctor']);
    expect(text).toContain('--engine auto takes native');
  });

  it('say without the library what to type, and that works', async () => {
    await rm(modules(own), { recursive: true });
    expect((await trained('auto')).engine).toBe('wasm');
    const { text: here } = await cli(['doctor']);
    expect(here).toContain('"npm install --include=optional"; or');
    expect(here).not.toContain('npm run');
    // As the hint is typed, from another folder, in which npm could do nothing.
    const away = await cli(['doctor'], {}, tmpdir());
    expect(away.text).toContain(`"npm install --include=optional" in ${folder}`);
    const command = /"node (\S+) build-native"/.exec(here)?.[1] as string;
    expect(command).toBe(modules('xlstm', 'bin', 'xlstm.js'));

    const without = await inFolder([command, 'build-native']);
    expect(without.code).toBe(1);
    expect(without.text).toMatch(/there is no C\+\+ compiler: .*g\+\+.*\n {2}install g\+\+|xcode-select/);

    // A compiler that fails, and one that works without taking a minute: it gives the library that is there.
    const broken = join(bin, 'broken');
    await writeFile(
      broken,
      '#!/bin/sh\n[ "$1" = --version ] && echo broken 1.0 && exit 0\necho "no such flag" >&2\nexit 1\n',
      { mode: 0o755 },
    );
    const failed = await inFolder([command, 'build-native'], { CXX: broken });
    expect(failed).toMatchObject({
      code: 1,
      text: expect.stringMatching(/the compiler failed: no such flag/),
    });
    expect(await readdir(modules('xlstm', 'dist'))).not.toContain('native');
    const working = join(bin, 'working.cjs');
    const library = join(bin, 'library');
    await copyFile(
      join(project, 'dist', 'native', host.platform === 'darwin' ? 'kernels.dylib' : 'kernels.so'),
      library,
    );
    await writeFile(
      working,
      `#!${process.execPath}
const { copyFileSync } = require('node:fs');
const args = process.argv.slice(2);
if (args[0] === '--version') console.log('working 1.0');
else copyFileSync(${JSON.stringify(library)}, args[args.indexOf('-o') + 1]);
`,
      { mode: 0o755 },
    );
    const made = await inFolder([command, 'build-native'], { CXX: working });
    expect(made.code, made.text).toBe(0);
    expect(made.text).toContain('--engine auto takes it');
    expect((await trained('auto')).engine).toBe('native');
  });
});
