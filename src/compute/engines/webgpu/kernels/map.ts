import { type ScalarFunction, STEP_WORDS, scalarFunctionNames } from '../../../program/scalar_functions.ts';
import { each, type Lowering, literal } from '../shader.ts';

type Text = (a: string, b: string, c: string) => string;

const functions: Record<Exclude<ScalarFunction, 'constant' | 'uniform'>, Text> = {
  copy: (a) => a,
  add: (a, b) => `${a} + ${b}`,
  subtract: (a, b) => `${a} - ${b}`,
  multiply: (a, b) => `${a} * ${b}`,
  divide: (a, b) => `${a} / ${b}`,
  maximum: (a, b) => `max(${a}, ${b})`,
  minimum: (a, b) => `min(${a}, ${b})`,
  greater: (a, b) => `select(0.0, 1.0, ${a} > ${b})`,
  select: (a, b, c) => `select(${c}, ${b}, ${a} != 0.0)`,
  multiplyAdd: (a, b, c) => `${a} * ${b} + ${c}`,
  negate: (a) => `-${a}`,
  absolute: (a) => `abs(${a})`,
  sign: (a) => `sign(${a})`,
  square: (a) => `${a} * ${a}`,
  squareRoot: (a) => `sqrt(${a})`,
  reciprocal: (a) => `1.0 / ${a}`,
  exp: (a) => `exp(${a})`,
  log: (a) => `log(${a})`,
  tanh: (a) => `tanh_of(${a})`,
  sigmoid: (a) => `sigmoid_of(${a})`,
  logSigmoid: (a) => `log_sigmoid_of(${a})`,
  erf: (a) => `erf_of(${a})`,
};

/** The little program over elements becomes shader text; its registers are variables. */
export const map: Lowering = ({ sizes: { rows, cols, inputs, outputs, temporaries, steps }, tail }) => {
  const lines = [`let row = index / ${cols}u;`, `let column = index % ${cols}u;`];
  const registers = inputs + outputs + temporaries;
  for (let i = 0; i < registers; i++) {
    const [rowStride, columnStride] = i < inputs ? tail.slice(3 * i + 1) : [];
    const value = i < inputs ? `t${i}_at(row * ${rowStride}u + column * ${columnStride}u)` : '0.0';
    lines.push(`var v${i} = ${value};`);
  }
  let at = 3 * inputs + 2 * outputs;
  for (let s = 0; s < steps; s++, at += STEP_WORDS) {
    const [opcode, destination, a, b, c] = tail.slice(at, at + STEP_WORDS) as number[];
    const name = scalarFunctionNames[opcode];
    const value =
      name === 'constant'
        ? literal(a)
        : name === 'uniform'
          ? `uniform_of(i32(v${a}), ${b}i, i32(index))`
          : functions[name](`v${a}`, `v${b}`, `v${c}`);
    lines.push(`v${destination} = ${value};`);
  }
  for (let i = 0; i < outputs; i++) {
    const rowStride = tail[3 * inputs + 2 * i + 1];
    lines.push(`set_t${inputs + i}(row * ${rowStride}u + column, v${inputs + i});`);
  }
  return [each(rows * cols, lines.join('\n'))];
};
