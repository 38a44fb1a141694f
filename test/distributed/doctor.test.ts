import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { installed, mpirun, startNode } from './mpirun.ts';

const doctor = [fileURLToPath(new URL('../../bin/xlstm.js', import.meta.url)), 'doctor', '--mpi'];

describe.each(installed)('$name', (library) => {
  it.skipIf(!library.present)('doctor --mpi says what connects the ranks', async () => {
    const { code, stdout, stderr } = await mpirun(library, 3, [...doctor, '--json']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const found = JSON.parse(stdout);
    expect(found).toMatchObject({ library: library.library, abi: library.name, launcher: library.name });
    expect(new Set(found.ranks.map(({ pid }: { pid: number }) => pid)).size).toBe(3);
    expect(found.ranks.every(({ threads }: { threads: number }) => threads >= 1)).toBe(true);
  });
});

it('doctor --mpi names what is missing, and a launcher whose ranks do not find each other', async () => {
  const none = await startNode(doctor, { XLSTM_MPI_LIBRARY: '/nowhere/libmpi.so' });
  expect(none.code).toBe(1);
  expect(none.stderr).toMatch(/error: XLSTM_MPI_LIBRARY: \/nowhere\/libmpi\.so does not load/);
});

const [library] = installed.filter(({ present }) => present);

it.skipIf(!library)(
  'a process by itself needs no launcher; tasks of Slurm that are alone are refused, by the first of them',
  async () => {
    const env = { XLSTM_MPI_LIBRARY: library.library };
    const { code, stdout } = await startNode(doctor, env);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^library .*\nABI .*\nlauncher {2}none/);
    // As srun without PMI leaves them.
    const slurm = { SLURM_PROCID: '0', SLURM_STEP_NUM_TASKS: '4', SLURM_NTASKS: '4' };
    for (const args of [doctor, [doctor[0], 'train', '--out', 'nothing']]) {
      const lone = await startNode(args, { ...env, ...slurm });
      expect(lone.code).toBe(1);
      expect(lone.stderr).toMatch(/error: Slurm started 4 ranks, but .* finds 1.*\n.*srun --mpi=pmix.*pmi2/);
      const other = await startNode(args, { ...env, ...slurm, SLURM_PROCID: '2' });
      expect(other).toEqual({ code: 1, stdout: '', stderr: '' });
    }
  },
);
