import { describe, expect, it } from 'vitest';
import { installed, mpirun } from './mpirun.ts';

const [mpich, openMpi] = installed;

describe.each(installed)('$name', (library) => {
  it.skipIf(!library.present).each([1, 2, 3, 4])(
    '%i ranks exchange what they give each other',
    async (ranks) => {
      const { code, stdout, stderr } = await mpirun(library, ranks, ['collective.js', 'spin']);
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      const { size, description } = JSON.parse(stdout);
      expect(size).toBe(ranks);
      expect(description).toContain(`${library.name}), rank 0 of ${ranks}`);
    },
  );

  it.skipIf(!library.present)('ranks that sleep while they wait get the same', async () => {
    const { code, stderr } = await mpirun(library, 3, ['collective.js', 'sleep']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  });

  it.skipIf(!library.present)('abort ends ranks that wait for it, with its message', async () => {
    const program = `
      import { mpi } from '../../dist/node.js';
      const collective = await mpi();
      if (collective.rank === 1) collective.abort('rank 1 gives up');
      await collective.barrier();
      process.stdout.write('went on');`;
    const { code, stdout, stderr } = await mpirun(library, 2, ['--input-type=module', '-e', program]);
    expect(code).not.toBe(0);
    expect(stdout).not.toContain('went on');
    expect(stdout + stderr).toContain('rank 1 gives up');
  });
});

it.skipIf(!mpich.present || !openMpi.present)(
  'a launcher of another library is refused, not run twice',
  async () => {
    const env = { XLSTM_MPI_LIBRARY: openMpi.library };
    const { code, stderr } = await mpirun(mpich, 2, ['collective.js', 'spin'], env);
    expect(code).not.toBe(0);
    expect(stderr).toContain('MPICH started 2 ranks, but libmpi.so.40 finds 1: they do not belong together');
    expect(stderr).toContain('XLSTM_MPI_LIBRARY');
  },
);
