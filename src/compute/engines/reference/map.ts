import { uniformHash } from '../../program/random.ts';
import { type ScalarFunction, STEP_WORDS, scalarFunctionNames } from '../../program/scalar_functions.ts';
import { erf, logSigmoid, sigmoid } from './math.ts';
import type { Operands, TailWord } from './operands.ts';

/** Functions of up to three registers; the two that take plain numbers are handled where steps are read. */
const functions: Record<
  Exclude<ScalarFunction, 'constant' | 'uniform'>,
  (a: number, b: number, c: number) => number
> = {
  copy: (a) => a,
  add: (a, b) => a + b,
  subtract: (a, b) => a - b,
  multiply: (a, b) => a * b,
  divide: (a, b) => a / b,
  maximum: (a, b) => Math.max(a, b),
  minimum: (a, b) => Math.min(a, b),
  greater: (a, b) => (a > b ? 1 : 0),
  select: (a, b, c) => (a !== 0 ? b : c),
  multiplyAdd: (a, b, c) => a * b + c,
  negate: (a) => -a,
  absolute: (a) => Math.abs(a),
  sign: (a) => Math.sign(a),
  square: (a) => a * a,
  squareRoot: (a) => Math.sqrt(a),
  reciprocal: (a) => 1 / a,
  exp: (a) => Math.exp(a),
  log: (a) => Math.log(a),
  tanh: (a) => Math.tanh(a),
  sigmoid,
  logSigmoid,
  erf,
};

interface Step {
  readonly name: ScalarFunction;
  readonly destination: number;
  readonly a: number;
  readonly b: number;
  readonly c: number;
}

function parseTail(a: Operands<'map'>) {
  let at = 0;
  const next = (): TailWord => a.tail[at++];
  const inputs = Array.from({ length: a.inputs }, () => ({
    memory: next() as Float64Array,
    rowStride: next() as number,
    columnStride: next() as number,
  }));
  const outputs = Array.from({ length: a.outputs }, () => ({
    memory: next() as Float64Array,
    rowStride: next() as number,
  }));
  const steps = Array.from({ length: a.steps }, (): Step => {
    const words = Array.from({ length: STEP_WORDS }, () => next() as number);
    return {
      name: scalarFunctionNames[words[0]],
      destination: words[1],
      a: words[2],
      b: words[3],
      c: words[4],
    };
  });
  return { inputs, outputs, steps };
}

export function map(args: Operands<'map'>): void {
  const { inputs, outputs, steps } = parseTail(args);
  const registers = new Float64Array(args.inputs + args.outputs + args.temporaries);
  for (let row = 0; row < args.rows; row++) {
    for (let column = 0; column < args.cols; column++) {
      inputs.forEach(({ memory, rowStride, columnStride }, i) => {
        registers[i] = memory[row * rowStride + column * columnStride];
      });
      for (const { name, destination, a, b, c } of steps) {
        if (name === 'constant') registers[destination] = a;
        else if (name === 'uniform') {
          registers[destination] = uniformHash(registers[a], b, row * args.cols + column);
        } else registers[destination] = functions[name](registers[a], registers[b], registers[c]);
      }
      outputs.forEach(({ memory, rowStride }, i) => {
        memory[row * rowStride + column] = registers[args.inputs + i];
      });
    }
  }
}
