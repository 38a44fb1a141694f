import { execFileSync } from 'node:child_process';
import type { Finding } from '../doctor.ts';

/** Looks for the C++ compiler that builds the native library. */
export function findCompiler(): Finding {
  const name = 'C++ compiler';
  const candidates = [process.env.CXX, 'c++', 'g++', 'clang++'].filter((command) => command !== undefined);
  for (const command of candidates) {
    const version = versionOf(command);
    if (version !== undefined) return { name, present: true, detail: version };
  }
  return {
    name,
    present: false,
    detail: `none of ${candidates.join(', ')} runs`,
    hint:
      process.platform === 'darwin'
        ? 'xcode-select --install'
        : 'install g++ or clang++ (Debian and Ubuntu: apt install g++)',
  };
}

function versionOf(command: string): string | undefined {
  try {
    const output = execFileSync(command, ['--version'], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    return output.split('\n', 1)[0];
  } catch {
    return undefined; // not there, or a stand-in that only offers to install one
  }
}
