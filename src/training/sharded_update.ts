import type { Executable, Memory, Values } from '../compute/engines/engine.ts';
import { Region, startOf } from '../compute/program/region.ts';
import { blockParts, type Collective, type Parts } from '../distributed/collective.ts';
import type { Network } from '../nn/layer.ts';
import type { Model } from '../nn/model.ts';
import type { NamedValues } from '../nn/parameters.ts';
import { fromBfloat16, toBfloat16 } from './half_wire.ts';
import {
  NORM_BLOCK,
  type OptimizerRegions,
  type RegionSlice,
  sliceUpdateProgram,
  squaresProgram,
  type UpdateOptions,
} from './step_programs.ts';
import { addEntries } from './trainer_files.ts';

/** Inputs of an update, beside gradients and moments. */
export interface UpdateInputs {
  readonly learningRate: number;
  readonly correction1: number;
  readonly correction2: number;
}

/**
 * How gradients go from rank to rank: as they are, or rounded to bfloat16, which is half as much. Then the result is no longer
 * that of one process.
 */
export type Wire = 'f32' | 'bf16';

/** A region of parameters, of which each rank has a part. */
interface SharedRegion {
  readonly regions: OptimizerRegions;
  readonly parameters: Memory;
  readonly gradients: Memory;
  /** Of its elements; whole blocks, so that norms are those of one process. */
  readonly parts: Parts;
  /** Of its blocks. */
  readonly blocks: Parts;
  /** Undefined where this rank has no part of it. */
  readonly own: OwnPart | undefined;
}

interface OwnPart {
  readonly slice: RegionSlice;
  readonly gradients: Memory;
  readonly moments: readonly [first: Memory, second: Memory];
}

/** The element of memory that has all of a part. */
const VALUES = 'values';

/**
 * The update of a step whose micro-batches several ranks compute. Each rank adds up its part of all gradients, in the
 * order of micro-batches, holds the moments of that part and moves that part of the parameters; then ranks give each other
 * what they moved. The bits are those of one process that adds the same micro-batches. Every rank makes the same calls.
 */
export class ShardedUpdate {
  readonly #collective: Collective;
  readonly #wire: Wire;
  readonly #shared: readonly SharedRegion[];
  readonly #squares: Executable | undefined;
  readonly #update: Executable;
  /** What comes from other ranks, of the largest of its parts: kept, since new memory costs more than filling it. */
  #received: Values | undefined;

  constructor(
    model: Model<Network>,
    regions: readonly OptimizerRegions[],
    gradients: readonly Memory[],
    update: UpdateOptions,
    collective: Collective,
    wire: Wire,
  ) {
    const { engine, memories } = model;
    this.#collective = collective;
    this.#wire = wire;
    this.#shared = regions.map((c, i) => {
      const parts = blockParts(collective.size, c.parameters.elements, NORM_BLOCK);
      const blocks = {
        starts: parts.starts.map((start) => Math.ceil(start / NORM_BLOCK)),
        counts: parts.counts.map((count) => Math.ceil(count / NORM_BLOCK)),
      };
      const slice = sliceOf(c, parts, collective.rank);
      const own = slice && {
        slice,
        gradients: engine.allocate(slice.gradients),
        moments: [engine.allocate(slice.firstMoment), engine.allocate(slice.secondMoment)] as const,
      };
      const parameters = memories.find(({ region }) => region === c.parameters) as Memory;
      return { regions: c, parameters, gradients: gradients[i], parts, blocks, own };
    });
    const own = this.#shared.flatMap((shared) => shared.own ?? []);
    const slices = own.map(({ slice }) => slice);
    const bound = [...memories, ...own.flatMap((part) => [part.gradients, ...part.moments])];
    this.#squares = slices.length > 0 ? engine.bind(squaresProgram(slices, engine.limits), bound) : undefined;
    this.#update = engine.bind(sliceUpdateProgram(regions, slices, update, engine.limits), bound);
  }

  /**
   * Adds what the gradients of ranks 0 to `count` − 1 hold, in this order.
   *
   * @param first Whether it is the beginning of a sum.
   */
  async add(count: number, first: boolean): Promise<void> {
    const { rank, size } = this.#collective;
    for (const { gradients, parts, own } of this.#shared) {
      const elements = parts.counts[rank];
      const received = await gradients.access(async (sent) => {
        const most = Math.max(...this.#shared.map((shared) => shared.parts.counts[rank]));
        this.#received ??= alike(sent, size * most);
        const received = this.#received.subarray(0, size * elements);
        if (this.#wire === 'f32') await this.#collective.allToAll(sent, parts, received);
        else await this.#exchangeHalves(sent, parts, received);
        return received;
      });
      await own?.gradients.access((sum) => {
        if (first) sum.set(received.subarray(0, elements));
        for (let from = first ? 1 : 0; from < count; from++) addTo(sum, received, from * elements);
      });
    }
  }

  async #exchangeHalves(sent: Values, { starts, counts }: Parts, received: Values): Promise<void> {
    const bytes = { starts: starts.map((start) => 2 * start), counts: counts.map((count) => 2 * count) };
    const halves = new Uint8Array(2 * received.length);
    await this.#collective.allToAll(toBfloat16(sent), bytes, halves);
    fromBfloat16(halves, received);
  }

  /** Clips the sum and moves the parameters. Resolves to the norm before clipping. */
  async apply(inputs: UpdateInputs): Promise<number> {
    const { io } = this.#update;
    await this.#squares?.run();
    let place = 0;
    for (const [i, { blocks, own }] of this.#shared.entries()) {
      const squares = new Float64Array(blocks.counts.reduce((sum, count) => sum + count, 0));
      if (this.#squares && own) {
        squares.set(await this.#squares.io.read(`squares${place++}`), blocks.starts[this.#collective.rank]);
      }
      await this.#collective.allGather(squares, blocks);
      io.write(`squares${i}`, squares);
    }
    for (const [name, value] of Object.entries(inputs)) io.write(name, [value]);
    await this.#update.run();
    for (const { parameters, parts } of this.#shared) {
      await parameters.access((values) => this.#collective.allGather(values, parts));
    }
    const [norm] = await io.read('gradientNorm');
    return norm;
  }

  /** The moments of all ranks by name; on others than rank 0 none. */
  async save(): Promise<Map<string, NamedValues>> {
    const saved = new Map<string, NamedValues>();
    for (const { regions, parameters, parts, own } of this.#shared) {
      for (const [k, region] of [regions.firstMoment, regions.secondMoment].entries()) {
        const part = await (own?.moments[k].readAll() ?? parameters.access((values) => alike(values, 0)));
        const whole = this.#collective.rank === 0 ? alike(part, region.elements) : undefined;
        await this.#collective.gather(part, parts, whole);
        if (!whole) continue;
        addEntries(saved, region.name, region, whole);
      }
    }
    return saved;
  }

  /** Takes this rank's part of what `save` gave. */
  restore(saved: ReadonlyMap<string, NamedValues>): void {
    for (const { regions, own } of this.#shared) {
      if (!own) continue;
      const { start, count } = own.slice;
      for (const [k, region] of [regions.firstMoment, regions.secondMoment].entries()) {
        for (const entry of region.entries) {
          const { values } = saved.get(`${region.name}/${entry.name}`) as NamedValues;
          const first = startOf(entry);
          const [from, to] = [Math.max(first, start), Math.min(first + values.length, start + count)];
          if (from >= to) continue;
          own.moments[k].write(
            VALUES,
            Array.prototype.slice.call(values, from - first, to - first),
            from - start,
          );
        }
      }
    }
  }

  /** Gives its memory back. */
  free(): void {
    this.#squares?.free();
    this.#update.free();
    for (const { own } of this.#shared) {
      for (const memory of own ? [own.gradients, ...own.moments] : []) memory.free();
    }
  }
}

function sliceOf(c: OptimizerRegions, { starts, counts }: Parts, rank: number): RegionSlice | undefined {
  const [start, count] = [starts[rank], counts[rank]];
  if (count === 0) return undefined;
  const part = (region: Region): Region => {
    const slice = new Region(`${region.name}, from ${start}`);
    slice.add(VALUES, [count]);
    return slice;
  };
  return {
    parameters: c.parameters,
    gradients: part(c.gradients),
    firstMoment: part(c.firstMoment),
    secondMoment: part(c.secondMoment),
    decays: c.decays,
    start,
    count,
  };
}

/** New numbers of the same type. */
const alike = <T extends Values>(values: T, length: number): T =>
  new (values.constructor as new (length: number) => T)(length);

function addTo(sum: Values, terms: Values, at: number): void {
  for (let i = 0; i < sum.length; i++) sum[i] += terms[at + i];
}
