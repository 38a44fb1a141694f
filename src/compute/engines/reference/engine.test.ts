import { describe, expect, it } from 'vitest';
import { kernelNames } from '../../program/kernels.ts';
import { type Instruction, Program } from '../../program/program.ts';
import { Region } from '../../program/region.ts';
import { scalarFunctionNames } from '../../program/scalar_functions.ts';
import { addressOf } from '../testing/address.ts';
import { createReferenceEngine, referenceKernels } from './engine.ts';

/** total += Σ x² · scale, with x and the result in io, scale a constant, total in a region of its own. */
function sumOfSquares() {
  const work = new Region('work');
  work.add('squares', [1]);
  const io = new Region('io');
  io.add('x', [2, 3]);
  io.add('scale', [1]);
  io.add('result', [1]);
  const state = new Region('state');
  state.add('total', [1]);
  const multiply = scalarFunctionNames.indexOf('multiply');
  const multiplyAdd = scalarFunctionNames.indexOf('multiplyAdd');
  const instructions: Instruction[] = [
    {
      kernel: 'reduce',
      words: [1, 6, 1, addressOf(io, 'x'), 6, addressOf(io, 'x'), 6, addressOf(work, 'squares'), 0],
    },
    {
      kernel: 'map',
      words: [
        ...[1, 1, 3, 2, 0, 2],
        ...[addressOf(work, 'squares'), 0, 0, addressOf(io, 'scale'), 0, 0, addressOf(state, 'total'), 0, 0],
        ...[addressOf(io, 'result'), 0, addressOf(state, 'total'), 0],
        ...[multiply, 3, 0, 1, 0],
        ...[multiplyAdd, 4, 0, 1, 2],
      ],
    },
  ];
  return { program: new Program('sum', instructions, work, io, [{ name: 'scale', values: [0.5] }]), state };
}

describe('ReferenceEngine', () => {
  it('has every kernel of the table', () => {
    expect(Object.keys(referenceKernels).sort()).toEqual([...kernelNames].sort());
  });

  it('runs a Program over its own and given memory, and keeps what lies there', async () => {
    const { program, state } = sumOfSquares();
    const engine = createReferenceEngine();
    const memory = engine.allocate(state);
    const executable = engine.bind(program, [memory]);
    executable.io.write('x', [1, 2, 3, 4]);
    executable.io.write('x', [5, 6], 4);
    expect(executable.run()).toBeUndefined();
    expect([...(await executable.io.read('result'))]).toEqual([45.5]);
    executable.io.write('x', [2], 0);
    executable.run();
    expect([...(await memory.read('total'))]).toEqual([45.5 + 47]);
    await engine.close();
  });

  it('lets two Programs share memory', async () => {
    const { program, state } = sumOfSquares();
    const engine = createReferenceEngine();
    const memory = engine.allocate(state);
    const [first, second] = [engine.bind(program, [memory]), engine.bind(program, [memory])];
    first.io.write('x', [2]);
    second.io.write('x', [4]);
    first.run();
    second.run();
    expect([...(await memory.read('total'))]).toEqual([10]);
    memory.clear();
    expect([...(await memory.readAll())].every((x) => x === 0)).toBe(true);
    memory.writeAll(new Float64Array(state.elements).fill(3));
    expect([...(await memory.read('total'))]).toEqual([3]);
  });

  it('shows workspace that is read before it is written', async () => {
    const { program, state } = sumOfSquares();
    const [, readsOnly] = program.instructions;
    const engine = createReferenceEngine();
    const broken = new Program('broken', [readsOnly], program.work, program.io, program.constants);
    const executable = engine.bind(broken, [engine.allocate(state)]);
    executable.run();
    expect((await executable.io.read('result'))[0]).toBeNaN();
  });

  it('refuses instructions that do not fit the kernel table', () => {
    const { program } = sumOfSquares();
    const engine = createReferenceEngine();
    const { work, io } = program;
    const wrong = new Program(
      'wrong',
      [{ kernel: 'reduce', words: [1, 6, 1, 5, 6, 0, 0, 0, 0] }],
      work,
      io,
      [],
    );
    expect(() => engine.bind(wrong, []).run()).toThrow('operand x (in) is 5');
  });
});
