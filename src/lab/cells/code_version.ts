import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { permits } from '../../compute/engines/host.ts';

/** The package's version, and the commit where it runs from a checkout of its own: "0.1.0, commit 1a2b3c4". */
export async function codeVersion(): Promise<string> {
  const root = new URL('../../../', import.meta.url);
  const { version } = JSON.parse(await readFile(new URL('package.json', root), 'utf8')) as {
    version: string;
  };
  const commit = await commitOf(fileURLToPath(root));
  return commit === undefined ? version : `${version}, commit ${commit}`;
}

async function commitOf(folder: string): Promise<string | undefined> {
  if (!permits('child')) return undefined;
  try {
    const git = async (...args: string[]): Promise<string> =>
      (await promisify(execFile)('git', ['-C', folder, ...args])).stdout.trim();
    // An installed package may lie within somebody else's checkout.
    if (`${await git('rev-parse', '--show-prefix')}` !== '') return undefined;
    return await git('describe', '--always', '--dirty', '--exclude', '*');
  } catch {
    // No git, or no checkout.
    return undefined;
  }
}
