import { checkFloat, checkNames, checkNumber, checkOption, checkWhole } from '../checks.ts';
import type { Executable, Memory } from '../compute/engines/engine.ts';
import type { AdamwOptions } from '../compute/graph/optimizer.ts';
import type { Region } from '../compute/program/region.ts';
import { sizeOf } from '../compute/program/region.ts';
import { XlstmError } from '../errors.ts';
import { shareEventLoop } from '../event_loop.ts';
import { stateRegion } from '../nn/inference_programs.ts';
import type { LanguageModel, Network } from '../nn/layer.ts';
import type { Model } from '../nn/model.ts';
import { OneCall } from '../nn/one_call.ts';
import type { NamedValues } from '../nn/parameters.ts';
import {
  BatchInputs,
  type BatchShape,
  type Objective,
  objectiveOf,
  type SequenceBatch,
  type TrainingBatch,
} from './objective.ts';
import type { Schedule } from './schedule.ts';
import { gradientProgram, type OptimizerRegions, optimizerRegions, updateProgram } from './step_programs.ts';

/** How a model is trained; everything has a default. */
export interface TrainerOptions<N extends Network = LanguageModel, B extends SequenceBatch = TrainingBatch> {
  /** Sequences of a batch. Default: 16. */
  readonly batchSize?: number;
  /** Positions of each. Default: the model's context length, 256 where its architecture names none. */
  readonly length?: number;
  /** Each batch continues the sequences of the one before: the recurrent state is kept. Default: false. */
  readonly carryState?: boolean;
  /** Default: beta1 0.9, beta2 0.95, epsilon 1e-8, weightDecay 0.1. */
  readonly optimizer?: Partial<AdamwOptions>;
  /** Bound on the norm of the whole gradient; 0: none. Default: 1. */
  readonly clipNorm?: number;
  /** Learning rate of a step, counted from 1, that is given none. Default: 1e-3. */
  readonly schedule?: Schedule;
  /** Decides what dropout drops. Default: 1. */
  readonly seed?: number;
  /** What the model is trained for. Default: `languageModelObjective`. */
  readonly objective?: Objective<N, B>;
}

/** What `computeGradients` gives. */
export interface GradientResult {
  /** This call's part of the mean loss of the update's targets, in nats where the objective is a language model's. */
  readonly loss: number;
  /** Targets of the batches. */
  readonly targets: number;
}

/** What a step gives. */
export interface StepResult {
  /** Mean loss of the step's targets. */
  readonly loss: number;
  /** Norm of the gradient before clipping. */
  readonly gradientNorm: number;
}

const OPTION_NAMES: readonly (keyof TrainerOptions)[] = [
  'batchSize',
  'length',
  'carryState',
  'optimizer',
  'clipNorm',
  'schedule',
  'seed',
  'objective',
];
const ADAMW: AdamwOptions = { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0.1 };
const LEARNING_RATE = 1e-3;
const BATCH_SIZE = 16;
const LENGTH = 256;

const MAX_SEED = 2 ** 24;
/** The step count is saved in two numbers below this: float32 holds whole numbers up to 2^24. */
const STEPS_BASE = 2 ** 20;

/**
 * Makes training steps: forward, backward, clipping and AdamW are one call of the engine. Holds the gradients, the
 * optimizer's moments and the recurrent state between batches. One call works at a time: another is refused.
 */
export class Trainer<N extends Network = LanguageModel, B extends SequenceBatch = TrainingBatch>
  implements Disposable
{
  /** Whose parameters are moved. It is not freed with the trainer. */
  readonly model: Model<N>;
  /** Of every batch. */
  readonly shape: BatchShape;
  /** The gradients of the last batches, in the layout of the parameters: to be changed between `computeGradients` and
   * `applyUpdate`. */
  readonly gradients: readonly Memory[];
  readonly #objective: Objective<N, B>;
  readonly #inputs: BatchInputs<B>;
  readonly #optimizer: AdamwOptions;
  readonly #clipNorm: number;
  readonly #schedule: Schedule;
  readonly #seed: number;
  readonly #regions: readonly OptimizerRegions[];
  readonly #moments: readonly Memory[];
  /** Where batches continue each other. */
  readonly #state: Memory | undefined;
  readonly #executables = new Map<'step' | 'set' | 'add' | 'update', Executable>();
  readonly #calls: OneCall;
  #steps = 0;
  #hasGradients = false;

  /** Throws a usage error for an option that is not right. */
  constructor(model: Model<N>, options: TrainerOptions<N, B> = {}) {
    checkNames('Trainer', options, OPTION_NAMES);
    const { batchSize = BATCH_SIZE, carryState = false, clipNorm = 1, seed = 1 } = options;
    const { length = model.design?.describe().contextLength ?? LENGTH } = options;
    const { schedule = () => LEARNING_RATE } = options;
    checkWhole('batchSize', batchSize, 1);
    checkWhole('length', length, 1);
    checkOption(typeof carryState === 'boolean', 'carryState', 'true or false', carryState);
    checkFloat('clipNorm', clipNorm, 'a finite number of at least 0', (value) => value >= 0);
    checkWhole('seed', seed, 0);
    checkOption(typeof schedule === 'function', 'schedule', 'a function from a step to a rate', schedule);
    this.#calls = new OneCall('the trainer', model.use);
    this.model = model;
    this.shape = { batchSize, length };
    this.#objective = objectiveOf(model.network, options.objective);
    this.#inputs = new BatchInputs(this.#objective.inputs(model.network, this.shape), this.shape);
    this.#optimizer = adamwOptions(options.optimizer);
    this.#clipNorm = clipNorm;
    this.#schedule = schedule;
    this.#seed = seed % MAX_SEED;
    this.#regions = optimizerRegions(model.parameters);
    const allocate = (region: Region): Memory => model.engine.allocate(region);
    this.gradients = this.#regions.map((r) => allocate(r.gradients));
    this.#moments = this.#regions.flatMap((r) => [r.firstMoment, r.secondMoment]).map(allocate);
    this.#state = carryState ? allocate(stateRegion(model.network, batchSize)) : undefined;
  }

  /** Steps made so far. */
  get steps(): number {
    return this.#steps;
  }

  /** Bytes of the Program of a whole step: activations, workspace, inputs. */
  get programBytes(): number {
    return this.executable.program.bytes;
  }

  /** The Program of a step from one batch, for printing and profiling; its inputs are those of the last such step. */
  get executable(): Executable {
    this.#calls.check('executable');
    return this.#executable('step');
  }

  /**
   * One update from one or more batches, whose gradients are averaged over all their targets. A carried state is
   * forgotten before each batch that does not continue the one before. Rejects with a usage or data error, before
   * anything runs, if an array or the learning rate is not right.
   */
  step(batches: B | readonly B[], learningRate?: number): Promise<StepResult> {
    return this.#calls.run('step', async () => {
      const rate = this.#learningRate(learningRate);
      const list = this.#checked(batches);
      const targets = this.#count(list);
      if (list.length > 1) {
        const loss = await this.#addGradients(list, targets);
        return { loss, gradientNorm: await this.#update('update', rate) };
      }
      const executable = this.#executable('step');
      this.#writeBatch(executable, list[0], targets, 0);
      const gradientNorm = await this.#update('step', rate);
      return { loss: (await executable.io.read('loss'))[0], gradientNorm };
    });
  }

  /**
   * The first half of a step: `gradients` become those of the batches. `totalTargets` counts the targets of the whole
   * update where others compute further parts of it: the parts of gradients and loss then add up.
   */
  computeGradients(batches: B | readonly B[], totalTargets?: number): Promise<GradientResult> {
    return this.#calls.run('computeGradients', async () => {
      const list = this.#checked(batches);
      const targets = this.#count(list, totalTargets);
      const loss = await this.#addGradients(list, totalTargets ?? targets);
      return { loss, targets };
    });
  }

  /** The second half of a step: clips the gradients and moves the parameters. Resolves to their norm before clipping. */
  applyUpdate(learningRate?: number): Promise<number> {
    return this.#calls.run('applyUpdate', () => {
      if (!this.#hasGradients) {
        throw new XlstmError(
          'usage',
          'applyUpdate: there are no gradients since the last update',
          'Call computeGradients first.',
        );
      }
      return this.#update('update', this.#learningRate(learningRate));
    });
  }

  /** Forgets what the sequences so far left in the recurrent state. */
  clearState(): void {
    this.#calls.runNow('clearState', () => this.#state?.clear());
  }

  /** Everything but the parameters that a later process needs to continue exactly. */
  save(): Promise<Map<string, NamedValues>> {
    return this.#calls.run('save', async () => {
      const steps = [Math.floor(this.#steps / STEPS_BASE), this.#steps % STEPS_BASE];
      const saved = new Map<string, NamedValues>([['steps', { shape: [2], values: steps }]]);
      for (const memory of this.#kept()) {
        for (const { name, shape } of memory.region.entries) {
          const values = (await memory.read(name)).subarray(0, sizeOf(shape));
          saved.set(`${memory.region.name}/${name}`, { shape, values });
        }
      }
      return saved;
    });
  }

  /**
   * Continues from what `save` gave; `source` names the file in errors. `steps` is for files from before the step count
   * was among it. Throws a checkpoint error, and changes nothing, if something is missing or of another shape.
   */
  restore(saved: ReadonlyMap<string, NamedValues>, source: string, steps?: number): void {
    this.#calls.runNow('restore', () => {
      const made = savedSteps(saved, source) ?? steps;
      if (made === undefined) throw new XlstmError('checkpoint', `${source}: "steps" is missing`);
      const entries = this.#kept().flatMap((memory) =>
        [...memory.region.entries].map(({ name, shape }) => {
          const found = saved.get(`${memory.region.name}/${name}`);
          if (found && sizeOf(found.shape) === sizeOf(shape) && found.values.length === sizeOf(shape)) {
            return { memory, name, values: found.values };
          }
          const what = found ? `has shape [${found.shape}], expected [${shape}]` : 'is missing';
          throw new XlstmError(
            'checkpoint',
            `${source}: "${memory.region.name}/${name}" ${what}`,
            'Resume with the batch size and model the run was started with.',
          );
        }),
      );
      for (const { memory, name, values } of entries) memory.write(name, values);
      this.#steps = made;
      this.#hasGradients = false;
    });
  }

  /** Gives its memory back; no call is allowed from here on. Throws a usage error while a call is at work. */
  free(): void {
    this.#calls.free(() => {
      for (const executable of this.#executables.values()) executable.free();
      for (const memory of [...this.gradients, ...this.#kept()]) memory.free();
    });
  }

  /** `free`, for `using`. */
  [Symbol.dispose](): void {
    this.free();
  }

  #kept(): readonly Memory[] {
    return this.#state ? [...this.#moments, this.#state] : this.#moments;
  }

  #learningRate(given: number | undefined): number {
    const rate = given === undefined ? this.#schedule(this.#steps + 1) : given;
    checkFloat('learningRate', rate, 'a finite number of at least 0', (value) => value >= 0);
    return rate;
  }

  #checked(batches: B | readonly B[]): readonly B[] {
    const list: readonly B[] = Array.isArray(batches) ? batches : [batches];
    checkOption(list.length > 0, 'batches', 'at least one batch', 'none');
    for (const batch of list) this.#inputs.check(batch);
    return list;
  }

  #count(batches: readonly B[], total?: number): number {
    const targets = batches.reduce((sum, batch) => sum + this.#objective.count(batch), 0);
    if (total !== undefined) {
      checkNumber('totalTargets', total, `a number of at least ${targets}`, (n) => n > 0 && n >= targets);
    } else if (!(targets > 0)) {
      throw new XlstmError(
        'data',
        'a training step needs at least one target',
        'Every target of the batch is masked.',
      );
    }
    return targets;
  }

  /** The gradients of all batches, one after the other; the loss is their mean over the targets. */
  async #addGradients(batches: readonly B[], targets: number): Promise<number> {
    this.#hasGradients = false;
    let loss = 0;
    for (const [i, batch] of batches.entries()) {
      const executable = this.#executable(i === 0 ? 'set' : 'add');
      this.#writeBatch(executable, batch, targets, i);
      await executable.run();
      loss += (await executable.io.read('loss'))[0];
      await shareEventLoop();
    }
    this.#hasGradients = true;
    return loss;
  }

  #writeBatch({ io }: Executable, batch: B, targets: number, index: number): void {
    if (batch.continues === false) this.#state?.clear();
    this.#inputs.write(io, batch);
    io.write('lossWeight', [1 / targets]);
    io.write('dropoutSeed', [(this.#seed + 7919 * this.#steps + index) % MAX_SEED]);
  }

  async #update(stage: 'step' | 'update', learningRate: number): Promise<number> {
    const executable = this.#executable(stage);
    const { io } = executable;
    const t = this.#steps + 1;
    io.write('learningRate', [learningRate]);
    io.write('correction1', [1 - this.#optimizer.beta1 ** t]);
    io.write('correction2', [1 - this.#optimizer.beta2 ** t]);
    await executable.run();
    this.#steps = t;
    this.#hasGradients = false;
    const [norm] = await io.read('gradientNorm');
    await shareEventLoop();
    return norm;
  }

  #executable(stage: 'step' | 'set' | 'add' | 'update'): Executable {
    let executable = this.#executables.get(stage);
    if (!executable) {
      const update = { optimizer: this.#optimizer, clipNorm: this.#clipNorm };
      const { engine, network, memories } = this.model;
      const state = this.#state?.region;
      const computed = {
        network,
        objective: this.#objective,
        shape: this.shape,
        state,
        limits: engine.limits,
      };
      const program =
        stage === 'update'
          ? updateProgram(this.#regions, update, engine.limits)
          : stage === 'step'
            ? gradientProgram(computed, this.#regions, 'set', update)
            : gradientProgram(computed, this.#regions, stage);
      executable = engine.bind(program, [...memories, ...this.gradients, ...this.#kept()]);
      this.#executables.set(stage, executable);
    }
    return executable;
  }
}

function adamwOptions(given: Partial<AdamwOptions> = {}): AdamwOptions {
  checkNames('optimizer', given, Object.keys(ADAMW));
  const { beta1 = ADAMW.beta1, beta2 = ADAMW.beta2 } = given;
  const { epsilon = ADAMW.epsilon, weightDecay = ADAMW.weightDecay } = given;
  for (const [name, beta] of Object.entries({ beta1, beta2 })) {
    checkFloat(`optimizer.${name}`, beta, 'a number from 0 to below 1', (value) => value >= 0 && value < 1);
  }
  checkFloat('optimizer.epsilon', epsilon, 'a finite number above 0', (value) => value > 0);
  checkFloat('optimizer.weightDecay', weightDecay, 'a finite number of at least 0', (value) => value >= 0);
  return { beta1, beta2, epsilon, weightDecay };
}

function savedSteps(saved: ReadonlyMap<string, NamedValues>, source: string): number | undefined {
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
