import { checkFloat, checkNumber, checkOption } from '../checks.ts';
import type { Executable, Memory } from '../compute/engines/engine.ts';
import type { Program } from '../compute/program/program.ts';
import type { Region } from '../compute/program/region.ts';
import type { Collective } from '../distributed/collective.ts';
import { XlstmError } from '../errors.ts';
import { shareEventLoop } from '../event_loop.ts';
import { stateRegion } from '../nn/inference_programs.ts';
import type { LanguageModel, Network } from '../nn/layer.ts';
import type { Model } from '../nn/model.ts';
import { OneCall } from '../nn/one_call.ts';
import type { NamedValues } from '../nn/parameters.ts';
import { gatherShares, gatherStates, numberOf } from './micro_batch_shares.ts';
import {
  BatchInputs,
  type BatchShape,
  type Objective,
  objectiveOf,
  type SequenceBatch,
  type TrainingBatch,
} from './objective.ts';
import { ShardedUpdate, type UpdateInputs } from './sharded_update.ts';
import { gradientProgram, type OptimizerRegions, optimizerRegions, updateProgram } from './step_programs.ts';
import {
  addEntries,
  checkEntries,
  savedStates,
  savedSteps,
  stateName,
  stepsTensor,
  writeEntries,
} from './trainer_files.ts';
import { MAX_SEED, type TrainerOptions, type TrainerSettings, trainerSettings } from './trainer_options.ts';

/** What `computeGradients` gives. */
export interface GradientResult {
  /** This call's part of the mean loss of the update's targets, in nats where the objective is a language model's. */
  readonly loss: number;
  /** Targets of the batches of all ranks. */
  readonly targets: number;
}

/** What a step gives. */
export interface StepResult {
  /** Mean loss of the step's targets. */
  readonly loss: number;
  /** Norm of the gradient before clipping. */
  readonly gradientNorm: number;
}

type Stage = 'step' | 'set' | 'add' | 'update';

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
  /**
   * The gradients of the last batches, in the layout of the parameters: to be changed between `computeGradients` and
   * `applyUpdate`. Of several ranks each has those of its last batch here, and the sum is elsewhere.
   */
  readonly gradients: readonly Memory[];
  readonly #objective: Objective<N, B>;
  readonly #inputs: BatchInputs<B>;
  readonly #settings: Pick<TrainerSettings, 'optimizer' | 'clipNorm' | 'schedule' | 'seed' | 'precision'>;
  readonly #regions: readonly OptimizerRegions[];
  readonly #collective: Collective;
  /** Where the update is made by several ranks; `#moments` is empty then. */
  readonly #sharded: ShardedUpdate | undefined;
  readonly #moments: readonly Memory[];
  /** Where batches continue each other: the state of each batch of a step that this rank has. */
  readonly #states: Memory[] | undefined;
  readonly #programs = new Map<Stage, Program>();
  readonly #executables = new Map<string, Executable>();
  readonly #calls: OneCall;
  #steps = 0;
  #hasGradients = false;

  /** Throws a usage error for an option that is not right. */
  constructor(model: Model<N>, options: TrainerOptions<N, B> = {}) {
    const { shape, carryState, collective, wire, ...settings } = trainerSettings(model, options);
    this.#calls = new OneCall('the trainer', model.use);
    this.model = model;
    this.shape = shape;
    this.#objective = objectiveOf(model.network, options.objective);
    this.#inputs = new BatchInputs(this.#objective.inputs(model.network, shape), shape);
    this.#settings = settings;
    this.#regions = optimizerRegions(model.parameters);
    const allocate = (region: Region): Memory => model.engine.allocate(region);
    this.gradients = this.#regions.map((r) => allocate(r.gradients));
    this.#states = carryState ? [allocate(stateRegion(model.network, shape.batchSize))] : undefined;
    this.#collective = collective;
    if (collective.size > 1) {
      this.#sharded = new ShardedUpdate(model, this.#regions, this.gradients, settings, collective, wire);
    }
    this.#moments = this.#sharded ? [] : this.#momentRegions().map(allocate);
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
   * One update from one or more batches, whose gradients are averaged over all their targets; of several ranks each gives
   * its own. A carried state is forgotten before a batch that does not continue the one before. Rejects with a usage or
   * data error, before anything runs, if an array or the learning rate is not right.
   */
  step(batches: B | readonly B[], learningRate?: number): Promise<StepResult> {
    return this.#calls.run('step', async () => {
      const rate = this.#learningRate(learningRate);
      const list = this.#checked(batches);
      if (list.length > 1 || this.#sharded) {
        const { loss } = await this.#addGradients(list);
        return { loss, gradientNorm: await this.#update('update', rate) };
      }
      const executable = this.#executable('step');
      this.#writeBatch(executable, list[0], this.#total([this.#objective.count(list[0])]), 0);
      const gradientNorm = await this.#update('step', rate);
      return { loss: (await executable.io.read('loss'))[0], gradientNorm };
    });
  }

  /**
   * The first half of a step: `gradients` become those of the batches. `totalTargets` counts the targets of the whole
   * update where others compute further parts of it: the parts of gradients and loss then add up.
   */
  computeGradients(batches: B | readonly B[], totalTargets?: number): Promise<GradientResult> {
    return this.#calls.run('computeGradients', () =>
      this.#addGradients(this.#checked(batches), totalTargets),
    );
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
    this.#calls.runNow('clearState', () => {
      for (const state of this.#states ?? []) state.clear();
    });
  }

  /**
   * Everything but the parameters that a later process needs to continue exactly, however many ranks there were or will
   * be. Rank 0 gets it; on others it is not whole.
   */
  save(): Promise<Map<string, NamedValues>> {
    return this.#calls.run('save', async () => {
      const saved = new Map([['steps', stepsTensor(this.#steps)]]);
      for (const [name, tensor] of (await this.#sharded?.save()) ?? []) saved.set(name, tensor);
      for (const memory of this.#moments) {
        addEntries(saved, memory.region.name, memory.region, await memory.readAll());
      }
      if (!this.#states) return saved;
      const { region } = this.#states[0];
      const states = await gatherStates(this.#collective, this.#states);
      for (const [i, values] of states.entries()) addEntries(saved, stateName(i), region, values);
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
      const momentRegions = this.#momentRegions();
      for (const region of momentRegions) checkEntries(saved, region.name, region, source);
      const states = this.#states ? savedStates(saved, this.#states[0].region, source) : 0;
      this.#sharded?.restore(saved);
      for (const memory of this.#moments) writeEntries(saved, memory.region.name, memory);
      for (let i = 0; numberOf(i, this.#collective) < states; i++) {
        writeEntries(saved, stateName(numberOf(i, this.#collective)), this.#stateOf(i));
      }
      this.#steps = made;
      this.#hasGradients = false;
    });
  }

  /** Gives its memory back; no call is allowed from here on. Throws a usage error while a call is at work. */
  free(): void {
    this.#calls.free(() => {
      for (const executable of this.#executables.values()) executable.free();
      this.#sharded?.free();
      for (const memory of [...this.gradients, ...this.#moments, ...(this.#states ?? [])]) memory.free();
    });
  }

  /** `free`, for `using`. */
  [Symbol.dispose](): void {
    this.free();
  }

  #momentRegions(): readonly Region[] {
    return this.#regions.flatMap((r) => [r.firstMoment, r.secondMoment]);
  }

  /** Of the batch at this place among those of a step that this rank has. */
  #stateOf(i: number): Memory {
    const states = this.#states as Memory[];
    while (states.length <= i) states.push(this.model.engine.allocate(states[0].region));
    return states[i];
  }

  #learningRate(given: number | undefined): number {
    const rate = given === undefined ? this.#settings.schedule(this.#steps + 1) : given;
    checkFloat('learningRate', rate, 'a finite number of at least 0', (value) => value >= 0);
    return rate;
  }

  #checked(batches: B | readonly B[]): readonly B[] {
    const list: readonly B[] = Array.isArray(batches) ? batches : [batches];
    checkOption(list.length > 0 || this.#sharded !== undefined, 'batches', 'at least one batch', 'none');
    for (const batch of list) this.#inputs.check(batch);
    return list;
  }

  #total(counts: readonly number[], total?: number): number {
    const targets = counts.reduce((sum, count) => sum + count, 0);
    if (total !== undefined) {
      checkNumber('totalTargets', total, `a number of at least ${targets}`, (n) => n > 0 && n >= targets);
      return total;
    }
    if (targets > 0) return targets;
    throw new XlstmError(
      'data',
      'a training step needs at least one target',
      'Every target of the batch is masked.',
    );
  }

  /** The gradients of all batches, one after the other; the loss is their mean over the targets. */
  async #addGradients(batches: readonly B[], totalTargets?: number): Promise<GradientResult> {
    this.#hasGradients = false;
    const { size } = this.#collective;
    const own = batches.map((batch) => this.#objective.count(batch));
    const counts = await gatherShares(this.#collective, own);
    const targets = this.#total(counts, totalTargets);
    const losses: number[] = [];
    for (let first = 0, i = 0; first < counts.length; first += size, i++) {
      if (i < batches.length) {
        const executable = this.#executable(i === 0 || this.#sharded ? 'set' : 'add', i);
        this.#writeBatch(executable, batches[i], targets, i);
        await executable.run();
        losses.push((await executable.io.read('loss'))[0]);
      }
      await this.#sharded?.add(Math.min(size, counts.length - first), first === 0);
      await shareEventLoop();
    }
    this.#hasGradients = true;
    const all = await gatherShares(this.#collective, losses);
    const loss = all.reduce((sum, part) => sum + part, 0);
    return { loss, targets: counts.reduce((sum, count) => sum + count, 0) };
  }

  #writeBatch({ io }: Executable, batch: B, targets: number, i: number): void {
    if (batch.continues === false && this.#states) this.#stateOf(i).clear();
    this.#inputs.write(io, batch);
    io.write('lossWeight', [1 / targets]);
    const number = numberOf(i, this.#collective);
    io.write('dropoutSeed', [(this.#settings.seed + 7919 * this.#steps + number) % MAX_SEED]);
  }

  async #update(stage: 'step' | 'update', learningRate: number): Promise<number> {
    const t = this.#steps + 1;
    const { beta1, beta2 } = this.#settings.optimizer;
    const inputs = { learningRate, correction1: 1 - beta1 ** t, correction2: 1 - beta2 ** t };
    const norm = await (this.#sharded?.apply(inputs) ?? this.#runUpdate(stage, inputs));
    this.#steps = t;
    this.#hasGradients = false;
    await shareEventLoop();
    return norm;
  }

  async #runUpdate(stage: 'step' | 'update', inputs: UpdateInputs): Promise<number> {
    const executable = this.#executable(stage);
    const { io } = executable;
    for (const [name, value] of Object.entries(inputs)) io.write(name, [value]);
    await executable.run();
    return (await io.read('gradientNorm'))[0];
  }

  /** Of the batch at place `i` among this rank's, whose state it is bound to. */
  #executable(stage: Stage, i = 0): Executable {
    const place = this.#states ? i : 0;
    const name = `${stage} ${place}`;
    let executable = this.#executables.get(name);
    if (!executable) {
      const { engine, memories } = this.model;
      const states = this.#states ? [this.#stateOf(place)] : [];
      const bound = [...memories, ...this.gradients, ...this.#moments, ...states];
      executable = engine.bind(this.#program(stage), bound);
      this.#executables.set(name, executable);
    }
    return executable;
  }

  #program(stage: Stage): Program {
    let program = this.#programs.get(stage);
    if (!program) {
      const { engine, network } = this.model;
      const computed = {
        network,
        objective: this.#objective,
        shape: this.shape,
        state: this.#states?.[0].region,
        limits: engine.limits,
        precision: this.#settings.precision,
      };
      program =
        stage === 'update'
          ? updateProgram(this.#regions, this.#settings, engine.limits)
          : stage === 'step'
            ? gradientProgram(computed, this.#regions, 'set', this.#settings)
            : gradientProgram(computed, this.#regions, stage);
      this.#programs.set(stage, program);
    }
    return program;
  }
}
