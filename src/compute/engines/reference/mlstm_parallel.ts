import { logSigmoid } from './math.ts';

export interface ParallelOptions {
  readonly keyDim: number;
  readonly valueDim: number;
  readonly keyScale: number;
  readonly queryScale: number;
  readonly eps: number;
}

/**
 * The paper's parallel form of mLSTM for one sequence and head, quadratic in length and without a state: an oracle
 * that shares nothing with the recurrence. q, k [T, DK], v [T, DV], i, f [T] → h [T, DV].
 *   D̃_tj = Σ_{s=j+1..t} logσ(f_s) + i_j for j ≤ t;  m_t = max_j D̃_tj;  S_tj = (q̂_t · k̂_j) exp(D̃_tj − m_t)
 *   h_t = Σ_j S_tj v_j / (max(|Σ_j S_tj|, exp(−m_t)) + eps)
 * Its m_t knows no m₀ = 0, so it agrees with the recurrent form exactly where eps = 0 only.
 */
export function mlstmParallel(
  q: Float64Array,
  k: Float64Array,
  v: Float64Array,
  i: Float64Array,
  f: Float64Array,
  { keyDim, valueDim, keyScale, queryScale, eps }: ParallelOptions,
): Float64Array {
  const length = i.length;
  const h = new Float64Array(length * valueDim);
  for (let t = 0; t < length; t++) {
    const logWeight = new Float64Array(t + 1);
    let decay = 0;
    for (let j = t; j >= 0; j--) {
      logWeight[j] = decay + i[j];
      decay += logSigmoid(f[j]);
    }
    const m = Math.max(...logWeight);
    let normalizer = 0;
    const numerator = new Float64Array(valueDim);
    for (let j = 0; j <= t; j++) {
      let product = 0;
      for (let d = 0; d < keyDim; d++) {
        product += queryScale * q[t * keyDim + d] * keyScale * k[j * keyDim + d];
      }
      const weight = product * Math.exp(logWeight[j] - m);
      normalizer += weight;
      for (let e = 0; e < valueDim; e++) numerator[e] += weight * v[j * valueDim + e];
    }
    const denominator = Math.max(Math.abs(normalizer), Math.exp(-m)) + eps;
    for (let e = 0; e < valueDim; e++) h[t * valueDim + e] = numerator[e] / denominator;
  }
  return h;
}
