/** What is reported of a figure that was measured several times. */
export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

export const spread = (values: readonly number[]): Spread => ({
  median: median(values),
  min: Math.min(...values),
  max: Math.max(...values),
});

/** Seconds that a call takes, once. */
export async function secondsOf(run: () => unknown): Promise<number> {
  const start = performance.now();
  await run();
  return (performance.now() - start) / 1000;
}

/** Seconds of each of `repeats` calls, after one that does not count. */
export const measure = async (run: () => unknown, repeats: number): Promise<number[]> =>
  (await measureInTurns([undefined], run, repeats))[0];

/**
 * Seconds of each of `repeats` calls for each subject, after one that does not count. The subjects take turns, so that
 * what else the machine does meets all of them.
 */
export async function measureInTurns<T>(
  subjects: readonly T[],
  run: (subject: T, index: number) => unknown,
  repeats: number,
): Promise<number[][]> {
  const seconds: number[][] = subjects.map(() => []);
  for (let turn = 0; turn <= repeats; turn++) {
    for (const [i, subject] of subjects.entries()) {
      const took = await secondsOf(() => run(subject, i));
      if (turn > 0) seconds[i].push(took);
    }
  }
  return seconds;
}
