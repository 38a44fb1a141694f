import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { blockParts } from './collective.ts';
import { checkLaunch, findLaunch } from './launcher.ts';
import { libraryCandidates, loadMpiLibrary } from './mpi_library.ts';

const openMpi = { OMPI_COMM_WORLD_RANK: '1', OMPI_COMM_WORLD_SIZE: '4' };
const slurm = { SLURM_PROCID: '2', SLURM_STEP_NUM_TASKS: '4' };

it.each([
  [openMpi, { launcher: 'Open MPI', rank: 1, size: 4 }],
  [
    { PMI_RANK: '0', PMI_SIZE: '3' },
    { launcher: 'MPICH', rank: 0, size: 3 },
  ],
  [slurm, { launcher: 'Slurm', rank: 2, size: 4 }],
  // mpirun within a step of Slurm, whose tasks are the daemons of mpirun.
  [
    { ...slurm, ...openMpi },
    { launcher: 'Open MPI', rank: 1, size: 4 },
  ],
  // srun with a plugin that speaks PMI: what Slurm says counts.
  [
    { ...slurm, PMI_RANK: '2', PMI_SIZE: '4' },
    { launcher: 'Slurm', rank: 2, size: 4 },
  ],
  // A batch script is one process, however many tasks were asked for.
  [{ SLURM_PROCID: '0', SLURM_NTASKS: '4' }, undefined],
  [{ PMI_RANK: 'x', PMI_SIZE: '3' }, undefined],
  [{}, undefined],
])('%j is understood', (env, expected) => {
  expect(findLaunch(env)).toEqual(expected);
});

it('srun that leaves its tasks alone is refused with the flag to use', () => {
  expect(() => checkLaunch(findLaunch(slurm), 1, 'libmpi.so.40')).toThrow(
    expect.objectContaining({
      code: 'engine',
      message: 'Slurm started 4 ranks, but libmpi.so.40 finds 1: they do not belong together',
      hint: expect.stringContaining('srun --mpi=pmix'),
    }),
  );
  checkLaunch(findLaunch(slurm), 4, 'libmpi.so.40');
  checkLaunch(undefined, 1, 'libmpi.so.40');
});

it('the library of the launcher is tried first, and those of folders that are named', async () => {
  const home = await mkdtemp(join(tmpdir(), 'xlstm-mpi-'));
  try {
    await mkdir(join(home, 'lib'));
    await writeFile(join(home, 'lib', 'libmpi.so.12'), '');
    const launch = findLaunch(openMpi);
    expect(libraryCandidates({}, launch)[0]).toBe('libmpi.so.40');
    expect(libraryCandidates({ PMIX_RANK: '0' }, undefined)[0]).toBe('libmpi.so.40');
    expect(libraryCandidates({}, undefined)[0]).toBe('libmpi_abi.so.1');
    const found = libraryCandidates({ MPI_HOME: home }, undefined);
    expect(found.indexOf(join(home, 'lib', 'libmpi.so.12'))).toBe(found.indexOf('libmpi.so.12') - 1);
    expect(libraryCandidates({ MPI_HOME: home, XLSTM_MPI_LIBRARY: '/x/libmpi.so' }, launch)).toEqual([
      '/x/libmpi.so',
    ]);
    await expect(
      loadMpiLibrary({ XLSTM_MPI_LIBRARY: join(home, 'lib', 'libmpi.so.12') }, undefined),
    ).rejects.toMatchObject({
      code: 'engine',
      message: /^XLSTM_MPI_LIBRARY: .*libmpi\.so\.12 does not load/,
    });
    // A library, but none of MPI.
    await expect(loadMpiLibrary({ XLSTM_MPI_LIBRARY: 'libc.so.6' }, undefined)).rejects.toMatchObject({
      message: expect.stringMatching(/MPI_Get_library_version|does not load/),
    });
  } finally {
    await rm(home, { recursive: true });
  }
});

it.each([
  [1, 100, 16],
  [3, 100, 16],
  [4, 4096 * 7 + 48, 4096],
  [8, 48, 16],
  [5, 16, 16],
])('%i parts of %i elements in blocks of %i are all of it, in order', (size, count, block) => {
  const { starts, counts } = blockParts(size, count, block);
  let end = 0;
  for (let rank = 0; rank < size; rank++) {
    expect(starts[rank]).toBe(end);
    expect(starts[rank] % block === 0 || starts[rank] === count).toBe(true);
    expect(counts[rank]).toBeGreaterThanOrEqual(0);
    end += counts[rank];
  }
  expect(end).toBe(count);
  expect(Math.max(...counts)).toBeLessThanOrEqual(Math.ceil(count / block / size) * block);
});
