import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Where a native library may be: a folder with the library and `kernels.sha256`, its digest. */

const files: Readonly<Record<string, string>> = { darwin: 'kernels.dylib', win32: 'kernels.dll' };

export const libraryFile = files[process.platform] ?? 'kernels.so';

/** The package that brings the library for this platform (scripts/packages.js makes it). */
export const platformPackage = `@xlstm/native-${process.platform}-${process.arch}`;

/**
 * The folders to look in, the one to prefer first: what was built here stands before what came as a package.
 * XLSTM_NATIVE_FOLDER names that of a library built for checks (scripts/check_sanitized.js); then there is no other.
 */
export function libraryFolders(): readonly string[] {
  if (process.env.XLSTM_NATIVE_FOLDER) return [process.env.XLSTM_NATIVE_FOLDER];
  const built = fileURLToPath(new URL('../../../../dist/native/', import.meta.url));
  const installed = installedFolder();
  return installed === undefined ? [built] : [built, installed];
}

function installedFolder(): string | undefined {
  try {
    return dirname(createRequire(import.meta.url).resolve(join(platformPackage, 'package.json')));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'MODULE_NOT_FOUND') return undefined;
    throw error;
  }
}
