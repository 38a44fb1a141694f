import type { Memory, Values } from '../compute/engines/engine.ts';
import { type Collective, gatherNumbers } from '../distributed/collective.ts';
import { XlstmError } from '../errors.ts';

/** One of several processes. */
export type Rank = Pick<Collective, 'rank' | 'size'>;

/** Micro-batches of a step that a rank computes: those whose number is `rank` modulo the number of ranks. */
export const shareOf = (microBatches: number, { rank, size }: Rank): number =>
  Math.max(0, Math.ceil((microBatches - rank) / size));

/** The number of micro-batch `i` of this rank among all of the step. */
export const numberOf = (i: number, { rank, size }: Rank): number => rank + i * size;

/**
 * One number of each micro-batch of a step, in order, where every rank gives those of its own. Rejects with a usage error,
 * on each rank, where these are not the micro-batches that fall to it.
 */
export async function gatherShares(
  collective: Collective,
  own: readonly number[],
): Promise<readonly number[]> {
  const { size } = collective;
  if (size === 1) return own;
  const counts = (await gatherNumbers(collective, [own.length])).map(([count]) => count);
  const total = counts.reduce((sum, count) => sum + count, 0);
  const wrong = counts.findIndex((count, rank) => count !== shareOf(total, { rank, size }));
  if (wrong >= 0) {
    throw new XlstmError(
      'usage',
      `batches: of ${total} micro-batches of a step ${shareOf(total, { rank: wrong, size })} fall to rank ${wrong} of ${size}, found ${counts[wrong]}`,
      'Give rank r the micro-batches r, r + ranks, r + 2 · ranks and so on.',
    );
  }
  const rounds = Array.from({ length: counts[0] }, (_, i) => own[i] ?? 0);
  const rows = await gatherNumbers(collective, rounds);
  return Array.from({ length: total }, (_, i) => rows[i % size][Math.floor(i / size)]);
}

/**
 * The states of all micro-batches of a step, in order, where each rank gives those of its own; on others than rank 0 only
 * these.
 */
export async function gatherStates(
  collective: Collective,
  own: readonly Memory[],
): Promise<readonly Values[]> {
  if (collective.size === 1) return Promise.all(own.map((state) => state.readAll()));
  const { rank, size } = collective;
  const counts = (await gatherNumbers(collective, [own.length])).map(([count]) => count);
  const elements = own[0].region.elements;
  const starts = counts.map(() => 0);
  const states: Values[] = [];
  // One after the other, so that rank 0 holds none twice.
  for (let number = 0; number < size * Math.max(...counts); number++) {
    const [i, from] = [Math.floor(number / size), number % size];
    if (i >= counts[from]) continue;
    const values = await own[rank === from ? i : 0].readAll();
    const part = rank === from ? values : values.subarray(0, 0);
    const whole = rank === 0 ? values.slice() : undefined;
    await collective.gather(
      part,
      { starts, counts: starts.map((_, r) => (r === from ? elements : 0)) },
      whole,
    );
    if (whole) states.push(whole);
  }
  return states;
}
