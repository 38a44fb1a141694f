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
export async function measure(run: () => unknown, repeats: number): Promise<number[]> {
  await run();
  const seconds: number[] = [];
  for (let i = 0; i < repeats; i++) seconds.push(await secondsOf(run));
  return seconds;
}
