/**
 * The scalar functions that the `map` kernel evaluates. The order is the opcode: the C++ header is generated
 * from this list, so append, never reorder within a release.
 *
 * `flops` weighs one evaluation for cost estimates.
 */
export const scalarFunctions = {
  copy: { arity: 1, flops: 0 },
  add: { arity: 2, flops: 1 },
  subtract: { arity: 2, flops: 1 },
  multiply: { arity: 2, flops: 1 },
  divide: { arity: 2, flops: 4 },
  maximum: { arity: 2, flops: 1 },
  minimum: { arity: 2, flops: 1 },
  /** a > b ? 1 : 0 */
  greater: { arity: 2, flops: 1 },
  /** a != 0 ? b : c */
  select: { arity: 3, flops: 1 },
  /** a * b + c */
  multiplyAdd: { arity: 3, flops: 2 },
  negate: { arity: 1, flops: 1 },
  absolute: { arity: 1, flops: 1 },
  sign: { arity: 1, flops: 1 },
  square: { arity: 1, flops: 1 },
  squareRoot: { arity: 1, flops: 4 },
  reciprocal: { arity: 1, flops: 4 },
  exp: { arity: 1, flops: 12 },
  log: { arity: 1, flops: 14 },
  tanh: { arity: 1, flops: 16 },
  sigmoid: { arity: 1, flops: 16 },
  /** log(sigmoid(a)) = -log(1 + exp(-a)), without overflow for any a */
  logSigmoid: { arity: 1, flops: 24 },
  /** error function */
  erf: { arity: 1, flops: 24 },
  /** the number in the word after the opcode and destination, not a register */
  constant: { arity: 0, flops: 0 },
  /**
   * Uniform in [0, 1): a hash of the register a (a seed, an integer below 2^24), the salt in operand b (a plain
   * integer, not a register) and the element's index row * cols + column. The same on every engine.
   * See `uniformHash` in src/compute/program/random.ts.
   */
  uniform: { arity: 1, flops: 12 },
} as const satisfies Record<string, { arity: number; flops: number }>;

export type ScalarFunction = keyof typeof scalarFunctions;

export const scalarFunctionNames = Object.keys(scalarFunctions) as ScalarFunction[];

/** Words of one step of map code: [function, destination register, a, b, c]. */
export const STEP_WORDS = 5;
