/** By how much a threshold is moved, in logarithms, when a reading is beyond it. */
const STEP = 0.1;

/** Deviations of a normal distribution beyond which the share `rate` of it lies, on both sides (Winitzki's inverse of erf). */
function normalDeviations(rate: number): number {
  const a = 0.147;
  const log = Math.log(rate * (2 - rate));
  const b = 2 / (Math.PI * a) + log / 2;
  return Math.SQRT2 * Math.sqrt(Math.sqrt(b * b - log / a) - b);
}

/**
 * Tells readings that are far from what was forecast. A reading's score is its distance from the median over the width of
 * the band on that side; the threshold follows the scores, so that in the long run the share `rate` of readings is beyond
 * it, whatever the bands are worth: it rises with each that is, and falls a little with each that is not (Gibbs and Candès 2021).
 */
export class AnomalyThreshold {
  readonly #rate: number;
  #logThreshold: number;

  /** `outer`: the level of the band's upper end; for normal forecasts the threshold is right from the beginning. */
  constructor(rate: number, outer: number) {
    this.#rate = rate;
    this.#logThreshold = Math.log(normalDeviations(rate) / normalDeviations(2 * (1 - outer)));
  }

  /** The logarithm of the threshold as it is now, to be saved and set again. */
  get logThreshold(): number {
    return this.#logThreshold;
  }

  set logThreshold(value: number) {
    this.#logThreshold = value;
  }

  /** The score over the threshold: a reading beyond 1 is an anomaly. `low`, `median` and `high` were forecast of it. */
  score(value: number, low: number, median: number, high: number): number {
    const distance = Math.abs(value - median);
    const width = Math.max(
      Math.abs(value > median ? high - median : median - low),
      // A band without a width, as of a constant series: what rounding makes of its values is no anomaly.
      Math.abs(median) * 1e-6 + Number.MIN_VALUE,
    );
    const score = distance / width / Math.exp(this.#logThreshold);
    this.#logThreshold += STEP * (Number(score > 1) - this.#rate);
    return score;
  }
}
