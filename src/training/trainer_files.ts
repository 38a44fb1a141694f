import type { Memory, Values } from '../compute/engines/engine.ts';
import { type Region, sizeOf, startOf } from '../compute/program/region.ts';
import { XlstmError } from '../errors.ts';
import type { NamedValues } from '../nn/parameters.ts';

/** What a trainer keeps, by name. */
type Saved = ReadonlyMap<string, NamedValues>;

/** The step count is saved in two numbers below this: float32 holds whole numbers up to 2^24. */
const STEPS_BASE = 2 ** 20;

export const stepsTensor = (steps: number): NamedValues => ({
  shape: [2],
  values: [Math.floor(steps / STEPS_BASE), steps % STEPS_BASE],
});

/** Undefined for files from before the count was among them. */
export function savedSteps(saved: Saved, source: string): number | undefined {
  const found = saved.get('steps');
  if (!found) return undefined;
  const [high, low] = Array.from(found.values);
  const steps = high * STEPS_BASE + low;
  if (found.values.length === 2 && Number.isSafeInteger(steps) && steps >= 0) return steps;
  throw new XlstmError(
    'checkpoint',
    `${source}: "steps": expected two whole numbers, found ${Array.from(found.values).slice(0, 4).join(', ')}`,
  );
}

/** Of the batch at this place in a step. */
export const stateName = (number: number): string => (number === 0 ? 'state' : `state.${number}`);

/** How many states there are, which have to be whole. */
export function savedStates(saved: Saved, region: Region, source: string): number {
  const [{ name }] = region.entries;
  let count = 1;
  while (saved.has(`${stateName(count)}/${name}`)) count++;
  for (let i = 0; i < count; i++) checkEntries(saved, stateName(i), region, source);
  return count;
}

/** The entries of a region, whose elements are given in its order. */
export function addEntries(
  saved: Map<string, NamedValues>,
  prefix: string,
  region: Region,
  whole: Values,
): void {
  for (const entry of region.entries) {
    const { name, shape } = entry;
    const start = startOf(entry);
    saved.set(`${prefix}/${name}`, { shape, values: whole.subarray(start, start + sizeOf(shape)) });
  }
}

/** Throws a checkpoint error unless all entries of a region are there. */
export function checkEntries(saved: Saved, prefix: string, region: Region, source: string): void {
  for (const { name, shape } of region.entries) {
    const found = saved.get(`${prefix}/${name}`);
    if (found && sizeOf(found.shape) === sizeOf(shape) && found.values.length === sizeOf(shape)) continue;
    const what = found ? `has shape [${found.shape}], expected [${shape}]` : 'is missing';
    throw new XlstmError(
      'checkpoint',
      `${source}: "${prefix}/${name}" ${what}`,
      'Resume with the batch size and model the run was started with.',
    );
  }
}

/** Sets the entries of a memory, which have to be there. */
export function writeEntries(saved: Saved, prefix: string, memory: Memory): void {
  for (const { name } of memory.region.entries) {
    memory.write(name, (saved.get(`${prefix}/${name}`) as NamedValues).values);
  }
}
