import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rename, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

export const project = fileURLToPath(new URL('../../', import.meta.url));

const run = promisify(execFile);

export interface PackedFile {
  readonly path: string;
  readonly size: number;
}

/** The files that `npm pack` takes, and a new folder where the package is installed as `npm install` would. */
export async function installPacked(): Promise<{ folder: string; files: readonly PackedFile[] }> {
  const folder = await mkdtemp(join(tmpdir(), 'xlstm-consumer-'));
  const packing = ['pack', '--ignore-scripts', '--json', '--pack-destination', folder];
  const { stdout } = await run('npm', packing, { cwd: project });
  const [{ filename, files }] = JSON.parse(stdout);
  const modules = join(folder, 'node_modules');
  await mkdir(modules);
  await run('tar', ['-xzf', join(folder, filename), '-C', folder]);
  await rename(join(folder, 'package'), join(modules, 'xlstm'));
  const { dependencies, optionalDependencies } = JSON.parse(
    await readFile(join(project, 'package.json'), 'utf8'),
  );
  for (const name of Object.keys({ ...dependencies, ...optionalDependencies })) {
    await mkdir(dirname(join(modules, name)), { recursive: true });
    await symlink(join(project, 'node_modules', name), join(modules, name), 'dir');
  }
  return { folder, files };
}
