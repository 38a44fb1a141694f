import type { Executable, Memory } from '../engine/engine.ts';
import { XlstmError } from '../errors.ts';
import type { LanguageModel } from '../nn/layer.ts';
import type { Model, NamedValues } from '../nn/model.ts';
import { stateRegion } from '../nn/programs.ts';
import { type Region, sizeOf } from '../program/region.ts';
import {
  type Companions,
  companionsOf,
  gradientProgram,
  type Stage,
  type UpdateOptions,
  updateProgram,
} from './programs.ts';

/** A batch of token sequences, each array [B, T] row by row. */
export interface TrainingBatch {
  readonly tokens: ArrayLike<number>;
  /** The token to predict at each position; below 0: none. */
  readonly targets: ArrayLike<number>;
  /** 1 where a token starts a document. */
  readonly reset: ArrayLike<number>;
}

export interface TrainerOptions extends UpdateOptions {
  /** Sequences of a batch. */
  readonly batchSize: number;
  /** Tokens of each. */
  readonly length: number;
  /** Each batch continues the sequences of the one before: the recurrent state is kept. */
  readonly carryState: boolean;
  /** Decides what dropout drops. */
  readonly seed: number;
}

export interface StepResult {
  /** Mean loss of the step's targets in nats. */
  readonly loss: number;
  /** Norm of the gradient before clipping. */
  readonly gradientNorm: number;
}

const MAX_SEED = 2 ** 24;

/**
 * Makes training steps: forward, backward, clipping and AdamW are one call of the engine. Holds the gradients, the
 * optimizer's moments and the recurrent state between batches.
 */
export class Trainer {
  readonly model: Model;
  readonly options: TrainerOptions;
  readonly #companions: readonly Companions[];
  readonly #memories: readonly Memory[];
  /** Where batches continue each other. */
  readonly #state: Memory | undefined;
  readonly #executables = new Map<Stage | 'update', Executable>();
  #steps = 0;

  constructor(model: Model<LanguageModel>, options: TrainerOptions) {
    this.model = model;
    this.options = options;
    this.#companions = companionsOf(model.parameters);
    const regions = this.#companions.flatMap((c): Region[] => [c.gradients, c.firstMoment, c.secondMoment]);
    this.#state = options.carryState
      ? model.engine.allocate(stateRegion(model.network, options.batchSize))
      : undefined;
    this.#memories = [
      ...model.memories,
      ...regions.map((region) => model.engine.allocate(region)),
      ...(this.#state ? [this.#state] : []),
    ];
  }

  /** Steps made so far. */
  get steps(): number {
    return this.#steps;
  }

  /** Bytes of the Program of a whole step: activations, workspace, inputs. */
  get programBytes(): number {
    return this.#executable('step').program.bytes;
  }

  /** The Program of a whole step, for printing and profiling. */
  get program(): Executable['program'] {
    return this.#executable('step').program;
  }

  /** One update from one or more batches, whose gradients are averaged over their targets. */
  async step(batches: readonly TrainingBatch[], learningRate: number): Promise<StepResult> {
    const targets = batches.reduce((sum, batch) => sum + countTargets(batch.targets), 0);
    if (targets === 0)
      throw new XlstmError(
        'data',
        'a training step needs at least one target',
        'Every target of the batch is masked.',
      );
    let loss = 0;
    let last: Executable | undefined;
    for (const [i, batch] of batches.entries()) {
      last = this.#executable(batches.length === 1 ? 'step' : i === 0 ? 'set' : 'add');
      last.io.write('tokens', batch.tokens);
      last.io.write('targets', batch.targets);
      last.io.write('reset', batch.reset);
      last.io.write('lossWeight', [1 / targets]);
      last.io.write('dropoutSeed', [(this.options.seed + 7919 * this.#steps + i) % MAX_SEED]);
      if (batches.length === 1) this.#writeSchedule(last, learningRate);
      await last.run();
      loss += (await last.io.read('loss'))[0];
    }
    if (batches.length > 1) {
      last = this.#executable('update');
      this.#writeSchedule(last, learningRate);
      await last.run();
    }
    this.#steps++;
    const norm = await (last as Executable).io.read('gradientNorm');
    return { loss, gradientNorm: norm[0] };
  }

  /** Forgets what the sequences so far left in the recurrent state. */
  clearState(): void {
    this.#state?.clear();
  }

  /** Everything but the parameters that a later process needs to continue exactly. */
  async save(): Promise<Map<string, NamedValues>> {
    const saved = new Map<string, NamedValues>();
    for (const memory of this.#keptMemories()) {
      for (const { name, shape } of memory.region.entries) {
        const values = (await memory.read(name)).subarray(0, sizeOf(shape));
        saved.set(`${memory.region.name}/${name}`, { shape, values });
      }
    }
    return saved;
  }

  restore(saved: ReadonlyMap<string, NamedValues>, steps: number, source: string): void {
    const memories = this.#keptMemories();
    for (const memory of memories) {
      for (const { name, shape } of memory.region.entries) {
        const found = saved.get(`${memory.region.name}/${name}`);
        if (!found || sizeOf(found.shape) !== sizeOf(shape)) {
          const what = found ? `has shape [${found.shape}], expected [${shape}]` : 'is missing';
          throw new XlstmError(
            'checkpoint',
            `${source}: "${memory.region.name}/${name}" ${what}`,
            'Resume with the batch size and model the run was started with.',
          );
        }
      }
    }
    for (const memory of memories) {
      for (const { name } of memory.region.entries) {
        memory.write(name, (saved.get(`${memory.region.name}/${name}`) as NamedValues).values);
      }
    }
    this.#steps = steps;
  }

  #keptMemories(): Memory[] {
    const moments = new Set(this.#companions.flatMap((c) => [c.firstMoment, c.secondMoment]));
    return this.#memories.filter((memory) => moments.has(memory.region) || memory === this.#state);
  }

  #writeSchedule({ io }: Executable, learningRate: number): void {
    const t = this.#steps + 1;
    io.write('learningRate', [learningRate]);
    io.write('correction1', [1 - this.options.beta1 ** t]);
    io.write('correction2', [1 - this.options.beta2 ** t]);
  }

  #executable(stage: Stage | 'update'): Executable {
    let executable = this.#executables.get(stage);
    if (!executable) {
      const { batchSize: batch, length, beta1, beta2, epsilon, weightDecay, clipNorm } = this.options;
      const update = { beta1, beta2, epsilon, weightDecay, clipNorm };
      const program =
        stage === 'update'
          ? updateProgram(this.#companions, update)
          : gradientProgram(
              this.model.network,
              this.#companions,
              this.#state?.region,
              { batch, length },
              stage,
              update,
            );
      executable = this.model.engine.bind(program, this.#memories);
      this.#executables.set(stage, executable);
    }
    return executable;
  }
}

function countTargets(targets: ArrayLike<number>): number {
  let count = 0;
  for (let i = 0; i < targets.length; i++) if (targets[i] >= 0) count++;
  return count;
}
