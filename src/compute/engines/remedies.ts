import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * What to type to come to a part that is missing. Node alone; each command works where it is shown: in a checkout, in a
 * project that has the package installed, elsewhere.
 */

/** From src/ and dist/ alike. */
export const packageFolder = fileURLToPath(new URL('../../../', import.meta.url));
const isCheckout = existsSync(join(packageFolder, 'src'));

const again = 'install the package xlstm again';
const compiler = '(needs a C++ compiler: c++, g++ or clang++)';

/** The command, and the folder where it works if that is another than this one. */
function commandIn(folder: string, command: string): string {
  const here = join(process.cwd(), sep).startsWith(join(folder, sep));
  return here ? `"${command}"` : `"${command}" in ${folder}`;
}

/** A command line of this package's own program, which works everywhere. */
function program(command: string): string {
  const path = join(packageFolder, 'bin', 'xlstm.js');
  return `"node ${path.includes(' ') ? `'${path}'` : path} ${command}"`;
}

/** The folder whose package.json has this package installed; undefined where the package lies in another way. */
function project(): string | undefined {
  const modules = dirname(packageFolder);
  const folder = dirname(modules);
  return /[\\/]node_modules$/.test(modules) && existsSync(join(folder, 'package.json')) ? folder : undefined;
}

/** How to come to the kernels as WebAssembly. */
export const wasmRemedy = (): string =>
  isCheckout ? `build them with ${commandIn(packageFolder, 'npm run build')}` : again;

/** How to come to a native library on this machine, where there is none or none that loads. */
export function buildRemedy(): string {
  if (process.platform === 'win32') return `${again}, with its optional dependencies`;
  return isCheckout
    ? `build it with ${commandIn(packageFolder, 'npm run build')} ${compiler}`
    : `build it with ${program('build-native')} ${compiler}`;
}

/** How to come to a library that the package of that name would have brought. */
export const libraryRemedy = (name: string): string =>
  isOptionalDependency(name) ? `${optionalRemedy()}; or ${buildRemedy()}` : buildRemedy();

/** How to come to a dependency that was left out when this package was installed. */
export function optionalRemedy(): string {
  const folder = isCheckout ? packageFolder : project();
  return folder === undefined
    ? `${again}, with its optional dependencies`
    : `install what was left out: ${commandIn(folder, 'npm install --include=optional')}`;
}

/** Whether this package asks for `name`, as it does for the platforms' when it was published, on those platforms. */
function isOptionalDependency(name: string): boolean {
  const { optionalDependencies = {} } = JSON.parse(readFileSync(join(packageFolder, 'package.json'), 'utf8'));
  return name in optionalDependencies;
}
