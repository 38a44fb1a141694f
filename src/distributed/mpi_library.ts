import { existsSync } from 'node:fs';
import { delimiter, dirname, isAbsolute, join } from 'node:path';
import type { LibraryHandle } from 'koffi';
import { importKoffi } from '../compute/engines/node_host.ts';
import { XlstmError } from '../errors.ts';
import type { Launch } from './launcher.ts';

/** How a library names its communicators and types: numbers of 32 bits, or pointers. */
export interface MpiAbi {
  readonly name: 'MPI standard ABI' | 'MPICH' | 'Open MPI';
  /** The C type of a handle. */
  readonly handle: 'int' | 'void *';
  readonly world: number | bigint;
  readonly float: number | bigint;
  readonly double: number | bigint;
  readonly byte: number | bigint;
  readonly inPlace: bigint;
  /** MPI_THREAD_SERIALIZED */
  readonly serialized: number;
}

/** A library that was loaded. */
export interface MpiLibrary {
  readonly path: string;
  readonly abi: MpiAbi;
  /** The first line of what it says of itself. */
  readonly version: string;
  readonly functions: LibraryHandle;
}

/** Values of mpi.h of the standard ABI of MPI 5 and of MPICH 3 to 5. */
const standard: MpiAbi = {
  name: 'MPI standard ABI',
  handle: 'void *',
  world: 0x101n,
  float: 0x210n,
  double: 0x214n,
  byte: 0x247n,
  inPlace: 1n,
  serialized: 2048,
};
const mpich: MpiAbi = {
  name: 'MPICH',
  handle: 'int',
  world: 0x44000000,
  float: 0x4c00040a,
  double: 0x4c00080b,
  byte: 0x4c00010d,
  inPlace: 0xffff_ffff_ffff_ffffn,
  serialized: 2,
};
/** Its handles are addresses of objects in the library. */
const openMpi = (library: LibraryHandle): MpiAbi => ({
  name: 'Open MPI',
  handle: 'void *',
  world: library.symbol('ompi_mpi_comm_world'),
  float: library.symbol('ompi_mpi_float'),
  double: library.symbol('ompi_mpi_double'),
  byte: library.symbol('ompi_mpi_byte'),
  inPlace: 1n,
  serialized: 2,
});

const STANDARD = ['libmpi_abi.so.1', 'libmpi_abi.so.0', 'libmpi_abi.dylib'];
const MPICH = ['libmpich.so.12', 'libmpi.so.12', 'libmpi.12.dylib'];
const OPEN_MPI = ['libmpi.so.40', 'libmpi.40.dylib'];

type Environment = Readonly<Record<string, string | undefined>>;

/** Names and paths to try, in order: those of the launcher first, which a library has to belong to. */
export function libraryCandidates(env: Environment, launch: Launch | undefined): readonly string[] {
  if (env.XLSTM_MPI_LIBRARY) return [env.XLSTM_MPI_LIBRARY];
  const names =
    launch?.launcher === 'Open MPI' || env.PMIX_RANK !== undefined
      ? [...OPEN_MPI, ...STANDARD, ...MPICH]
      : [...STANDARD, ...MPICH, ...OPEN_MPI];
  const roots = [env.MPI_HOME, env.CONDA_PREFIX].filter((root) => root !== undefined && root !== '');
  const launchers = (env.PATH ?? '')
    .split(delimiter)
    .filter((folder) => isAbsolute(folder) && existsSync(join(folder, 'mpirun')));
  const folders = [...(roots as string[]), ...launchers.map(dirname)].map((root) => join(root, 'lib'));
  // A name alone is what the system's loader finds.
  const paths = names.flatMap((name) => [
    ...folders.map((folder) => join(folder, name)).filter(existsSync),
    name,
  ]);
  return [...new Set(paths)];
}

/** Loads the first library that there is. Throws an engine error that says what was tried. */
export async function loadMpiLibrary(env: Environment, launch: Launch | undefined): Promise<MpiLibrary> {
  const candidates = libraryCandidates(env, launch);
  // UCX, which moves the bytes below both, would put functions of its own in the place of malloc's and mmap's while threads
  // of Node run in them: one process in some thirty ended with a segmentation fault.
  process.env.UCX_MEM_EVENTS ??= 'n';
  const koffi = await importKoffi().catch((error: Error) => {
    throw new XlstmError(
      'engine',
      `MPI is called through the package "koffi", which does not load: ${error.message}`,
    );
  });
  let reason = '';
  for (const path of candidates) {
    let functions: LibraryHandle;
    try {
      // Open MPI's plugins look for its symbols among those of the process.
      functions = koffi.load(path, { global: true, lazy: true });
    } catch (error) {
      reason = (error as Error).message.split('\n', 1)[0];
      continue;
    }
    return { path, functions, ...identify(path, functions) };
  }
  const given = env.XLSTM_MPI_LIBRARY !== undefined && env.XLSTM_MPI_LIBRARY !== '';
  throw new XlstmError(
    'engine',
    given
      ? `XLSTM_MPI_LIBRARY: ${candidates[0]} does not load: ${reason}`
      : `there is no MPI library: none of ${candidates.join(', ')} loads`,
    given
      ? 'Give the path of a shared library: libmpi.so.40, libmpi.so.12, libmpich.so.12 or libmpi_abi.so.1.'
      : 'Install one (Debian: apt-get install openmpi-bin, or mpich), or name its file in XLSTM_MPI_LIBRARY.',
  );
}

/** MPI_MAX_LIBRARY_VERSION_STRING is at most 8192. */
const VERSION_BYTES = 8192;

function identify(path: string, library: LibraryHandle): { abi: MpiAbi; version: string } {
  const text = new Uint8Array(VERSION_BYTES);
  const length = new Int32Array(1);
  try {
    library.func('MPI_Get_library_version', 'int', ['void *', 'void *'])(text, length);
  } catch {
    throw new XlstmError(
      'engine',
      `${path}: expected an MPI library, found one without MPI_Get_library_version`,
      'Name the file of the library in XLSTM_MPI_LIBRARY.',
    );
  }
  const said = new TextDecoder().decode(text.subarray(0, length[0])).split('\0', 1)[0];
  const version = said.split('\n', 1)[0].replace(/\s+/g, ' ').trim();
  if (/libmpi_abi\.[^/]*$/.test(path)) return { abi: standard, version };
  if (/Open MPI/i.test(said)) return { abi: openMpi(library), version };
  // All of these kept to one ABI since 2014 (mpich.org/abi).
  if (/MPICH|Intel\(R\) MPI|MVAPICH|CRAY/i.test(said)) return { abi: mpich, version };
  throw new XlstmError(
    'engine',
    `${path}: expected Open MPI, MPICH or a library of the standard ABI, found "${version}"`,
    'Name the file of such a library in XLSTM_MPI_LIBRARY.',
  );
}
