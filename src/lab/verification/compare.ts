import { invariant } from '../../errors.ts';

/** One expected tensor and how far an engine's result is from it. */
export interface Row {
  /** What was computed: a case of the file. */
  readonly case: string;
  /** The name of the result, such as h or the gradient of a parameter. */
  readonly tensor: string;
  /** How it was computed; where there are several ways, the one that is farthest off. */
  readonly form: string;
  /** max |a − b| / max(max |b|, 0.01) for computed a and expected b; of logits max |a − b|. NaN where one is NaN. */
  readonly error: number;
  /** What the error may be at most. */
  readonly tolerance: number;
  /** error ≤ tolerance */
  readonly passed: boolean;
}

type Values = ArrayLike<number>;

/** Expected values smaller than this are compared as if they had this size: below it all is rounding. */
const LEAST_SCALE = 1e-2;

/** max |a − b| / max(max |b|, 0.01) for computed a and expected b; NaN where a difference is not a number. */
export function relativeError(computed: Values, expected: Values): number {
  return absoluteError(computed, expected) / Math.max(LEAST_SCALE, largest(expected));
}

/** max |a − b| */
export function absoluteError(computed: Values, expected: Values): number {
  invariant(
    computed.length === expected.length,
    `${computed.length} values to compare with ${expected.length}`,
  );
  let worst = 0;
  // Math.max, unlike a comparison, keeps NaN.
  for (let i = 0; i < expected.length; i++) worst = Math.max(worst, Math.abs(computed[i] - expected[i]));
  return worst;
}

function largest(values: Values): number {
  let most = 0;
  for (let i = 0; i < values.length; i++) most = Math.max(most, Math.abs(values[i]));
  return most;
}

/** Collects the rows of a case; of several forms of the same tensor the worst stays. */
export class Comparison {
  readonly #case: string;
  readonly #tolerance: number;
  readonly #rows = new Map<string, Row>();

  constructor(name: string, tolerance: number) {
    this.#case = name;
    this.#tolerance = tolerance;
  }

  get rows(): readonly Row[] {
    return [...this.#rows.values()];
  }

  add(tensor: string, form: string, error: number, tolerance = this.#tolerance): void {
    const sofar = this.#rows.get(tensor);
    // NaN is worse than any number, and nothing is worse than NaN.
    if (sofar && (Number.isNaN(sofar.error) || error <= sofar.error)) return;
    const row = { case: this.#case, tensor, form, error, tolerance, passed: error <= tolerance };
    this.#rows.set(tensor, row);
  }

  /** Relative errors of everything that is expected. */
  addAll(
    form: string,
    computed: Readonly<Record<string, Values>>,
    expected: Readonly<Record<string, Values>>,
  ): void {
    for (const [tensor, values] of Object.entries(expected)) {
      this.add(tensor, form, relativeError(computed[tensor], values));
    }
  }
}
