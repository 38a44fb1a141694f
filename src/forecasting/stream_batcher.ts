import type { Executable, Memory } from '../compute/engines/engine.ts';
import { plan } from '../compute/graph/plan.ts';
import { leaf } from '../compute/graph/tensor.ts';
import { assign } from '../compute/graph/views.ts';
import { Region } from '../compute/program/region.ts';
import { type RowLayout, splitRows, variatesOf } from '../models/tirex2/rows.ts';
import { stateLeaves, stateRegion, storeState } from '../nn/inference_programs.ts';
import type { Network } from '../nn/layer.ts';
import type { Model } from '../nn/model.ts';
import { copyStateRow } from '../nn/state_rows.ts';
import { runSizes } from './network_forecaster.ts';
import type { PatchModel } from './patch_model.ts';
import { RecentExecutables } from './recent_executables.ts';

/** What a stream asks for: tokens that follow its state, and the patches after them. */
export interface StreamStep {
  /** [variates, L, 2·P], targets first; the last ones, as many as patches but one, are those of what is missing. */
  readonly tokens: Float64Array;
  /** The tokens before those. */
  readonly length: number;
  readonly targets: number;
  readonly variates: number;
  /** Patches to forecast after the last token. */
  readonly patches: number;
  /** That of the stream: it is moved past the tokens, but not past the patches that are forecast. */
  readonly state: Memory;
}

interface Waiting {
  readonly step: StreamStep;
  resolve(patches: ArrayLike<number>): void;
  reject(error: unknown): void;
}

/** Rows that one run takes, unless a stream alone has more. */
const ROWS = 32;

/** Runs the steps of all streams of a model: those that are asked for at the same time are one batch. */
export class StreamBatcher {
  readonly #model: Model<Network>;
  readonly #patches: PatchModel;
  readonly #waiting: Waiting[] = [];
  readonly #states = new Map<number, Memory>();
  readonly #executables = new RecentExecutables();
  #atWork = false;

  constructor(model: Model<Network>, patches: PatchModel) {
    this.#model = model;
    this.#patches = patches;
  }

  /** The memory of a stream's state, at its beginning. */
  allocate(variates: number): Memory {
    return this.#model.engine.allocate(stateRegion(this.#model.network, variates));
  }

  /** What is forecast, scaled: [targets, patches, Q, P]. */
  run(step: StreamStep): Promise<ArrayLike<number>> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ step, resolve, reject });
      if (!this.#atWork) void this.#work();
    });
  }

  /** Gives its memory back. */
  free(): void {
    for (const memory of this.#states.values()) memory.free();
    this.#executables.free();
    this.#states.clear();
  }

  async #work(): Promise<void> {
    this.#atWork = true;
    // Who asks in the same turn of the event loop is part of the batch.
    await Promise.resolve();
    while (this.#waiting.length > 0) {
      const groups = new Map<string, Waiting[]>();
      for (const each of this.#waiting.splice(0)) {
        const { targets, variates, length, patches } = each.step;
        const key = [targets, variates, length, patches].join(' ');
        groups.set(key, [...(groups.get(key) ?? []), each]);
      }
      for (const group of groups.values()) await this.#runGroup(group);
    }
    this.#atWork = false;
  }

  async #runGroup(group: readonly Waiting[]): Promise<void> {
    const most = 2 ** Math.max(0, Math.floor(Math.log2(ROWS / group[0].step.variates)));
    let from = 0;
    for (const count of runSizes(group.length, most)) {
      const chosen = group.slice(from, from + count);
      from += count;
      try {
        const results = await this.#runBatch(chosen.map(({ step }) => step));
        for (const [i, { resolve }] of chosen.entries()) resolve(results[i]);
      } catch (error) {
        for (const { reject } of chosen) reject(error);
      }
    }
  }

  async #runBatch(steps: readonly StreamStep[]): Promise<ArrayLike<number>[]> {
    const [{ length, patches, targets, variates }] = steps;
    const layout: RowLayout = { series: steps.length, targets, past: variates - targets, known: 0 };
    const { executable, state } = this.#executable(layout, length, patches);
    const { io } = executable;
    const tokenSize = 2 * this.#patches.patchSize * (length + patches - 1);
    for (const [b, { tokens, state: own }] of steps.entries()) {
      for (let v = 0; v < variates; v++) {
        const row = tokens.subarray(v * tokenSize, (v + 1) * tokenSize);
        io.write('tokens', row, (v * steps.length + b) * tokenSize);
      }
      for (let v = 0; v < variates; v++) copyStateRow(state, v * steps.length + b, own, v);
    }
    await executable.run();
    for (const [b, { state: own }] of steps.entries()) {
      for (let v = 0; v < variates; v++) copyStateRow(own, v, state, v * steps.length + b);
    }
    const values = await io.read('result');
    const size = patches * this.#patches.levels.length * this.#patches.patchSize;
    return steps.map((_, b) => {
      const own = new Float64Array(targets * size);
      for (let v = 0; v < targets; v++) {
        const at = (v * steps.length + b) * size;
        own.set(values.subarray(at, at + size), v * size);
      }
      return own;
    });
  }

  #executable(layout: RowLayout, length: number, patches: number): { executable: Executable; state: Memory } {
    const rows = layout.series * variatesOf(layout);
    let state = this.#states.get(rows);
    if (!state) {
      state = this.allocate(rows);
      this.#states.set(rows, state);
    }
    const key = [layout.series, layout.targets, layout.past, length, patches].join(' ');
    const bound = state;
    const executable = this.#executables.use(key, () => this.#bind(key, layout, length, patches, bound));
    return { executable, state };
  }

  #bind(key: string, layout: RowLayout, length: number, patches: number, state: Memory): Executable {
    const { engine, memories } = this.#model;
    const model = this.#patches;
    const rows = layout.series * variatesOf(layout);
    const io = new Region('io');
    const before = stateLeaves(state.region);
    const tokens = leaf(io, 'tokens', [rows, length + patches - 1, 2 * model.patchSize]);
    const after = model.forward(tokens, layout, before, length, { first: length - 1, count: patches });
    const read = layout.series * layout.targets;
    const value = model.quantiles(read === rows ? after.y : splitRows(after.y, read)[0]);
    const roots = [assign(leaf(io, 'result', value.shape), value), ...storeState(before, after.state)];
    const program = plan(`stream ${key}`, { io, roots, limits: engine.limits });
    return engine.bind(program, [...memories, state]);
  }
}
