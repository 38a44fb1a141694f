// npm run release: makes the packages of a release in release/ (docs/releasing.md). Publishes nothing.
import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { root } from './files.js';
import { compileKernels } from './native.js';
import { packageName, packMain, packPlatform, targets } from './packages.js';

const MAX_BYTES = 3e6;
const kilobytes = (bytes) => `${Math.round(bytes / 1000)} kB`.padStart(8);

const to = fileURLToPath(new URL('release/', root));
const zig = process.env.ZIG || 'zig';

function zigVersion() {
  const { status, stdout } = spawnSync(zig, ['version'], { encoding: 'utf8' });
  if (status === 0) return `zig ${stdout.trim()}`;
  throw new Error(`"${zig} version" does not run: install zig, name it in ZIG (docs/releasing.md)`);
}

function library(target, version) {
  // The kernels use nothing of the C++ library, and zig would first build one.
  const args = ['c++', '-target', target.triple, '-nostdlib++'];
  const prefix = `${target.platform}-${target.arch}-`;
  return compileKernels({ command: zig, args, version }, { prefix, target, options: ['-O3', '-g0', '-s'] });
}

try {
  const version = zigVersion();
  rmSync(to, { recursive: true, force: true });
  mkdirSync(to);
  for (const target of targets) {
    const bytes = await library(target, version);
    const { files, packedBytes } = await packPlatform(to, target, bytes);
    const size = files.reduce((sum, file) => sum + file.size, 0);
    console.log(
      `${packageName(target).padEnd(26)} ${kilobytes(packedBytes)} packed ${kilobytes(size)} unpacked`,
    );
    if (size > MAX_BYTES) throw new Error(`${packageName(target)} is larger than ${kilobytes(MAX_BYTES)}`);
  }
  const { files, packedBytes } = await packMain(to);
  const size = files.reduce((sum, file) => sum + file.size, 0);
  console.log(`${'xlstm'.padEnd(26)} ${kilobytes(packedBytes)} packed ${kilobytes(size)} unpacked`);
} catch (error) {
  console.error(`release failed: ${error.stderr || error.message}`);
  process.exitCode = 1;
}
