import { expect, it } from 'vitest';
import { installed, mpirun } from './mpirun.ts';

const [library] = installed.filter(({ present }) => present);

it.skipIf(!library)(
  'SequenceModel.fit refuses other examples on another rank, and stops on all where one is told to',
  async () => {
    const other = await mpirun(library, 2, ['fit.js', 'sleep', 'data']);
    expect(other.code).not.toBe(0);
    expect(other.stderr).toMatch(
      /rank 1 has another set of examples than rank 0: expected 12, digest \w+, found 12, digest \w+/,
    );
    const { code, stdout, stderr } = await mpirun(library, 3, ['fit.js', 'sleep', 'stop']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const stopped = 'another rank was told to stop, 1';
    expect(JSON.parse(stdout)).toEqual([stopped, 'told to stop, 1', stopped]);
  },
  60_000,
);
