// The packages of a release: xlstm, and for each platform one that holds the native library (docs/releasing.md).
import { execFile } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { root } from './files.js';
import { placeLibrary } from './native.js';

const run = promisify(execFile);

/** Node's names; `triple` is zig's, with the oldest system. Node 20 itself needs glibc 2.28. */
export const targets = [
  { platform: 'linux', arch: 'x64', triple: 'x86_64-linux-gnu.2.28' },
  { platform: 'linux', arch: 'arm64', triple: 'aarch64-linux-gnu.2.28' },
  { platform: 'darwin', arch: 'arm64', triple: 'aarch64-macos.11.0' },
  { platform: 'darwin', arch: 'x64', triple: 'x86_64-macos.11.0' },
  { platform: 'win32', arch: 'x64', triple: 'x86_64-windows-gnu' },
];

/** What src/compute/engines/native/folders.ts looks for. */
export const packageName = ({ platform, arch }) => `@xlstm/native-${platform}-${arch}`;

const manifest = JSON.parse(readFileSync(new URL('package.json', root), 'utf8'));

const writeJson = (path, value) => writeFileSync(path, `${JSON.stringify(value, null, 2)}\n`);

/** Packs a folder into another; the path of the archive and what is in it. */
async function pack(from, to) {
  // Through the shell on Windows only, where npm is a script of it.
  const shell = process.platform === 'win32';
  const args = ['pack', '--ignore-scripts', '--json', '--pack-destination', to];
  const { stdout } = await run('npm', args, { cwd: from, shell });
  const [{ filename, files, size }] = JSON.parse(stdout);
  return { archive: join(to, filename), files, packedBytes: size };
}

/** The package of one platform, with the library whose bytes are given: its folder within `to`, and its archive there. */
export async function packPlatform(to, target, library) {
  const { platform, arch } = target;
  const folder = join(to, `native-${platform}-${arch}`);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  placeLibrary(pathToFileURL(`${folder}/`), library, target);
  copyFileSync(new URL('LICENSE', root), join(folder, 'LICENSE'));
  const { version, license } = manifest;
  writeJson(join(folder, 'package.json'), {
    name: packageName(target),
    version,
    description: `The native library of xlstm for ${platform} on ${arch}`,
    license,
    os: [platform],
    cpu: [arch],
    ...(platform === 'linux' ? { libc: ['glibc'] } : {}),
    files: ['kernels.*'],
    // The system loads the library from a file of its own.
    preferUnplugged: true,
  });
  return { folder, ...(await pack(folder, to)) };
}

/**
 * The package xlstm as it is published: that of this folder, of which a user's package.json needs no scripts, and with the
 * packages of the platforms as optional dependencies, which cannot stand in the repository's own: none can be installed
 * before it is published.
 */
export async function packMain(to) {
  const { archive } = await pack(fileURLToPath(root), to);
  const folder = join(to, 'xlstm');
  rmSync(folder, { recursive: true, force: true });
  rmSync(join(to, 'package'), { recursive: true, force: true });
  await run('tar', ['-xzf', archive, '-C', to]);
  renameSync(join(to, 'package'), folder);
  const { scripts, devDependencies, optionalDependencies, ...published } = manifest;
  const natives = Object.fromEntries(targets.map((target) => [packageName(target), manifest.version]));
  writeJson(join(folder, 'package.json'), {
    ...published,
    optionalDependencies: { ...optionalDependencies, ...natives },
  });
  return { folder, ...(await pack(folder, to)) };
}
