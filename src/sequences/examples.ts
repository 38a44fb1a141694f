import { XlstmError } from '../errors.ts';
import type { SequenceConfig } from '../models/sequence/config.ts';
import { quote } from '../quote.ts';

/** Numbers of a step; one alone where there is one. */
export type StepValues = ArrayLike<number> | number;

/** A sequence, and what is to be predicted from it. */
export interface SequenceExample {
  /** The numbers of each step, [T] of [inputs]. */
  readonly inputs: ArrayLike<StepValues>;
  /**
   * The outputs or the class of each step, [T], or where the model pools those of the sequence. `null` where there is
   * none: that step trains nothing.
   */
  readonly targets: ArrayLike<StepValues | string | null> | StepValues | string;
}

/** Examples as flat arrays, one row an example. */
export interface EncodedExample {
  readonly length: number;
  /** [T · inputs] */
  readonly x: Float32Array;
  /** [R · outputs] or [R] */
  readonly targets: Float32Array;
  /** [R] */
  readonly weights: Float32Array;
}

/** Inputs of one sequence, [T · inputs]. Throws a data error that names step and column. */
export function encodeInputs(
  inputs: unknown,
  { inputs: width }: SequenceConfig,
  where: string,
): Float32Array {
  const steps = asList(inputs, where, 'a list of steps');
  if (steps.length === 0) throw new XlstmError('data', `${where}: expected at least one step, found none`);
  const x = new Float32Array(steps.length * width);
  for (let t = 0; t < steps.length; t++) writeValues(x, t * width, steps[t], width, `${where}, step ${t}`);
  return x;
}

/** Throws a data error that names the example, the step and the column. */
export function encodeExample(
  example: SequenceExample,
  config: SequenceConfig,
  where: string,
): EncodedExample {
  if (typeof example !== 'object' || example === null) {
    throw new XlstmError('data', `${where}: expected { inputs, targets }, found ${quote(example)}`);
  }
  const { outputs, classes, pool, inputs: width } = config;
  const x = encodeInputs(example.inputs, config, `${where}: inputs`);
  const length = x.length / width;
  const perStep = pool === 'none';
  const results = perStep ? length : 1;
  const columns = classes.length > 0 ? 1 : outputs;
  const place = `${where}: targets`;
  const list = perStep ? asList(example.targets, place, 'a list, one for each step') : [example.targets];
  if (list.length !== results) {
    throw new XlstmError(
      'data',
      `${place}: expected one for each of the ${results} steps, found ${list.length}`,
      'A model with pool "last" or "mean" takes one target for the sequence.',
    );
  }
  const targets = new Float32Array(results * columns);
  const weights = new Float32Array(results);
  for (let r = 0; r < results; r++) {
    const target: unknown = list[r];
    if (target === null) continue;
    const at = perStep ? `${place}, step ${r}` : place;
    if (classes.length > 0) targets[r] = classOf(target, classes, at);
    else writeValues(targets, r * columns, target, columns, at);
    weights[r] = 1;
  }
  return { length, x, targets, weights };
}

function asList(values: unknown, where: string, expected: string): ArrayLike<unknown> {
  const { length } = (values ?? {}) as ArrayLike<unknown>;
  if (typeof values === 'object' && values !== null && Number.isSafeInteger(length)) {
    return values as ArrayLike<unknown>;
  }
  throw new XlstmError('data', `${where}: expected ${expected}, found ${quote(values)}`);
}

function writeValues(to: Float32Array, at: number, values: unknown, width: number, where: string): void {
  const list = typeof values === 'object' && values !== null ? (values as ArrayLike<unknown>) : [values];
  if (list.length !== width) {
    throw new XlstmError(
      'data',
      `${where}: expected ${width} ${width === 1 ? 'number' : 'numbers'}, found ${list.length ?? quote(values)}`,
    );
  }
  for (let i = 0; i < width; i++) {
    const value: unknown = list[i];
    if (typeof value === 'number' && Number.isFinite(Math.fround(value))) to[at + i] = value;
    else {
      throw new XlstmError(
        'data',
        `${where}, column ${i}: expected a finite number, found ${quote(value)}`,
        'Values that are missing have to be filled in, or their steps left out.',
      );
    }
  }
}

function classOf(target: unknown, classes: readonly string[], where: string): number {
  const index = classes.indexOf(String(target));
  if (index >= 0) return index;
  throw new XlstmError(
    'data',
    `${where}: expected one of ${classes.map((name) => quote(name)).join(', ')}, found ${quote(target)}`,
  );
}

/** What all examples of an iterable encode to. Throws a data error for the first that is wrong, and if there is none. */
export async function encodeAll(
  examples: Iterable<SequenceExample> | AsyncIterable<SequenceExample>,
  config: SequenceConfig,
  what: string,
): Promise<EncodedExample[]> {
  const iterable =
    typeof examples === 'object' &&
    examples !== null &&
    (Symbol.iterator in examples || Symbol.asyncIterator in examples);
  if (!iterable) {
    throw new XlstmError(
      'data',
      `${what}: expected an iterable of { inputs, targets }, found ${quote(examples)}`,
    );
  }
  const all: EncodedExample[] = [];
  for await (const example of examples)
    all.push(encodeExample(example, config, `${what}, example ${all.length}`));
  if (all.length === 0) throw new XlstmError('data', `${what}: expected at least one example, found none`);
  return all;
}
