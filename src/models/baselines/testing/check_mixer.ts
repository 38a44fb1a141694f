import { expect } from 'vitest';
import { createReferenceEngine } from '../../../compute/engines/reference/engine.ts';
import { evaluation, type NamedArray } from '../../../compute/evaluation.ts';
import { differentiate, reachable } from '../../../compute/graph/differentiate.ts';
import { multiply, sum } from '../../../compute/graph/elementwise.ts';
import { leafOf, type Tensor } from '../../../compute/graph/tensor.ts';
import { sizeOf } from '../../../compute/program/region.ts';
import { relativeError } from '../../../lab/verification/compare.ts';
import { Pass } from '../../../nn/layer.ts';
import { Parameters, Scope } from '../../../nn/parameters.ts';
import { Random } from '../../../random.ts';
import type { Mixer } from '../mixer.ts';
import { tokenCounts } from '../positions.ts';

/** Vectors of one document, one per token. */
export type Vectors = readonly (readonly number[])[];

/** The parameters of a mixer by name. */
export type Values = Readonly<Record<string, ArrayLike<number>>>;

export interface MixerCase {
  readonly dim: number;
  readonly build: (scope: Scope) => Mixer;
  /** What the mixer adds to the residual, over one document that starts without memory. */
  readonly oracle: (x: Vectors, values: Values) => Vectors;
  /** Parameters that are drawn near another number than 0. */
  readonly near?: Readonly<Record<string, number>>;
}

const BATCH = 2;
const engine = createReferenceEngine();

/** A mixer with random parameters on the reference engine. */
class Subject {
  readonly #dim: number;
  readonly #mixer: Mixer;
  readonly #parameters = new Parameters();
  readonly #memories;
  readonly values: Record<string, Float64Array> = {};

  constructor({ dim, build, near = {} }: MixerCase) {
    const random = new Random(11);
    this.#dim = dim;
    this.#mixer = build(new Scope(this.#parameters));
    this.#memories = this.#parameters.regions.map((region) => engine.allocate(region));
    for (const { name, shape } of this.#parameters.list) {
      const center = near[name] ?? 0;
      this.values[name] = Float64Array.from(
        { length: sizeOf(shape) },
        () => center + random.uniform(-0.6, 0.6),
      );
      this.write(name, this.values[name]);
    }
  }

  write(name: string, values: ArrayLike<number>, at = 0): void {
    const memory = this.#memories.find(({ region }) => region.has(name));
    memory?.write(name, values, at);
  }

  /** An executable over pieces of `length` tokens that start without memory unless `state` is given. */
  prepare(
    length: number,
    x: ArrayLike<number>,
    reset: ArrayLike<number>,
    state?: Record<string, NamedArray>,
  ) {
    const inputs: Record<string, NamedArray> = {
      x: { shape: [BATCH, length, this.#dim], values: x },
      reset: { shape: [BATCH, length], values: reset },
      ...state,
    };
    return evaluation(
      engine,
      inputs,
      (leaves) => {
        const { x: input, reset: starts, count, ...before } = leaves;
        const counted = tokenCounts([BATCH, length], starts, count);
        const place = { pass: new Pass({ reset: starts }), positions: counted.counts };
        const residual = multiply(input, 0.5);
        const { y, state: last } = this.#mixer.forward(input, place, before, residual);
        const wave = multiply(y, y);
        const loss = sum(multiply(wave, 0.1));
        const parameters = reachable([loss])
          .flatMap(({ outputs }) => Object.values(outputs))
          .filter((t) => this.#parameters.list.some(({ name }) => leafOf(t)?.name === name));
        const gradients = differentiate([loss], [input, ...parameters]);
        const outputs: Record<string, Tensor> = { mixed: y, loss, ...last, count: counted.last };
        [input, ...parameters].forEach((t, i) => {
          const gradient = gradients[i];
          if (gradient) outputs[`d${leafOf(t)?.name}`] = gradient;
        });
        return { outputs };
      },
      this.#memories,
    );
  }

  /** The state before any token. */
  emptyState(): Record<string, NamedArray> {
    const shapes = { ...this.#mixer.stateShapes(BATCH), count: [BATCH, 1] };
    return Object.fromEntries(
      Object.entries(shapes).map(([name, shape]) => [
        name,
        { shape, values: new Float64Array(sizeOf(shape)) },
      ]),
    );
  }
}

/** The random parameters with which a mixer is checked. */
export const drawnValues = (mixer: MixerCase): Values => new Subject(mixer).values;

function randomInput(length: number, dim: number): { x: Float64Array; reset: Float64Array } {
  const random = new Random(5);
  const x = Float64Array.from({ length: BATCH * length * dim }, () => random.uniform(-1, 1));
  const reset = new Float64Array(BATCH * length);
  reset[0] = 1;
  reset[3] = 1;
  reset[length + 5] = 1;
  return { x, reset };
}

/** Tokens [from, to) of each sequence of an array [B, T, ...]. */
function piece(values: Float64Array, length: number, from: number, to: number): Float64Array {
  const width = values.length / BATCH / length;
  const parts = Array.from({ length: BATCH }, (_, b) =>
    values.subarray((b * length + from) * width, (b * length + to) * width),
  );
  return Float64Array.from(parts.flatMap((part) => [...part]));
}

/** The mixer gives what the plain loops give, document by document. */
export async function checkOracle(mixer: MixerCase): Promise<void> {
  const { dim, oracle } = mixer;
  const length = 23;
  const subject = new Subject(mixer);
  const { x, reset } = randomInput(length, dim);
  const { mixed } = await subject.prepare(length, x, reset).run();
  const expected: number[] = [];
  for (let b = 0; b < BATCH; b++) {
    let document: number[][] = [];
    const finish = (): void => {
      const mixed = document.length > 0 ? oracle(document, subject.values) : [];
      mixed.forEach((row, t) => {
        expected.push(...row.map((value, d) => value + 0.5 * document[t][d]));
      });
      document = [];
    };
    for (let t = 0; t < length; t++) {
      const at = (b * length + t) * dim;
      if (reset[b * length + t] === 1) finish();
      document.push([...x.subarray(at, at + dim)]);
    }
    finish();
  }
  const contribution = mixed.map((value, i) => value - 0.5 * x[i]);
  expect(Math.max(...contribution.map(Math.abs))).toBeGreaterThan(0.02);
  expect(relativeError(mixed, expected)).toBeLessThan(1e-9);
}

/** Reading token by token, or in pieces, gives what reading the whole gives. */
export async function checkSteps(mixer: MixerCase): Promise<void> {
  const length = 23;
  const subject = new Subject(mixer);
  const { x, reset } = randomInput(length, mixer.dim);
  const whole = await subject.prepare(length, x, reset).run();
  for (const size of [1, 7]) {
    let state = subject.emptyState();
    for (let from = 0; from < length; from += size) {
      const to = Math.min(length, from + size);
      const part = await subject
        .prepare(to - from, piece(x, length, from, to), piece(reset, length, from, to), state)
        .run();
      const expected = piece(Float64Array.from(whole.mixed), length, from, to);
      expect(relativeError(part.mixed, expected), `pieces of ${size}, token ${from}`).toBeLessThan(1e-9);
      state = Object.fromEntries(
        Object.entries(state).map(([name, { shape }]) => [name, { shape, values: part[name] }]),
      );
    }
  }
}

/** Gradients of all parameters and of the input agree with central differences. */
export async function checkGradients(mixer: MixerCase): Promise<void> {
  const length = 6;
  const step = 1e-5;
  const subject = new Subject(mixer);
  const { x, reset } = randomInput(length, mixer.dim);
  const { executable, run } = subject.prepare(length, x, reset);
  const analytic = await run();
  const variables: [string, Float64Array, (value: number, at: number) => void][] = [
    ['x', x, (value, at) => executable.io.write('x', [value], at)],
    ...Object.entries(subject.values).map(
      ([name, values]) =>
        [name, values, (value: number, at: number) => subject.write(name, [value], at)] as [
          string,
          Float64Array,
          (value: number, at: number) => void,
        ],
    ),
  ];
  for (const [name, values, write] of variables) {
    const numeric = new Float64Array(values.length);
    for (let at = 0; at < values.length; at++) {
      const lossAt = async (value: number): Promise<number> => {
        write(value, at);
        return (await run()).loss[0];
      };
      numeric[at] = ((await lossAt(values[at] + step)) - (await lossAt(values[at] - step))) / (2 * step);
      write(values[at], at);
    }
    expect(analytic[`d${name}`], `gradient of ${name}`).toBeDefined();
    expect(Math.max(...numeric.map(Math.abs)), `gradient of ${name} vanishes`).toBeGreaterThan(1e-5);
    expect(relativeError(analytic[`d${name}`], numeric), `gradient of ${name}`).toBeLessThan(1e-6);
  }
}
