/** A setting that is tried, the same for every model and task. */
export interface Trial {
  readonly learningRate: number;
  /** Part of the training in which sequences are short at first and grow. */
  readonly curriculum: number;
  readonly weightDecay: number;
  /** Parameters relative to the larger models. */
  readonly size: 1 | 0.5;
}

/** Least and most. */
const RATES = [1e-3, 6e-2] as const;
const CURRICULA = [0.4, 0.8, 0.4, 0] as const;
const DECAYS = [0.3, 0.1] as const;

/**
 * The setting of a number, from 1 on. Rates halve the logarithms that lie between those before, so that the first few
 * cover the whole range and more trials go on with the same list.
 */
export function trialOf(number: number): Trial {
  const [least, most] = RATES;
  const round = number - 1;
  return {
    learningRate: Number((least * (most / least) ** halved(number)).toPrecision(3)),
    curriculum: CURRICULA[round % CURRICULA.length],
    weightDecay: DECAYS[Math.floor(round / CURRICULA.length) % DECAYS.length],
    size: number % 4 === 0 ? 0.5 : 1,
  };
}

/** 1/2, 1/4, 3/4, 1/8, 5/8, …: the digits of a number in base 2, mirrored at the point (van der Corput 1935). */
function halved(number: number): number {
  let result = 0;
  for (let left = number, place = 0.5; left > 0; left = Math.floor(left / 2), place /= 2) {
    result += (left % 2) * place;
  }
  return result;
}
