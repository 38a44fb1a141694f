import { checkChoice, checkNames, checkNumber, checkOption, checkWhole } from '../checks.ts';
import type { Precision } from '../compute/graph/plan.ts';
import { type Collective, oneProcess, sumOverRanks } from '../distributed/collective.ts';
import { XlstmError } from '../errors.ts';
import { shareEventLoop } from '../event_loop.ts';
import type { SequenceConfig } from '../models/sequence/config.ts';
import type { SequenceNetwork } from '../models/sequence/network.ts';
import { Fingerprint, modelFingerprint } from '../nn/fingerprint.ts';
import type { Model } from '../nn/model.ts';
import type { NamedValues } from '../nn/parameters.ts';
import { Random } from '../random.ts';
import { engineFact, requireAgreement } from '../training/agreement.ts';
import { Evaluator, meanOverRanks } from '../training/evaluate.ts';
import { absoluteError, type ElementLoss, huberLoss, squaredError } from '../training/losses.ts';
import { warmupCosine } from '../training/schedule.ts';
import { Trainer } from '../training/trainer.ts';
import { type EncodedExample, encodeAll, type SequenceExample } from './examples.ts';
import { type SequenceArrays, sequenceObjective } from './objective.ts';

/** Examples in an array, a generator or whatever gives them one by one. `fit` holds all of them in memory. */
export type Examples = Iterable<SequenceExample> | AsyncIterable<SequenceExample>;

/** How a SequenceModel is trained; everything has a default. */
export interface FitOptions {
  /** Passes over the examples. Default: 20. */
  readonly epochs?: number;
  /** Examples of a step. Default: an eighth of them, but at most 32. */
  readonly batchSize?: number;
  /** Examples that are measured after each epoch; the model ends as it was after its best one. Default: none. */
  readonly validation?: Examples;
  /** Epochs without a better validation loss after which training ends. Default: all are made. */
  readonly patience?: number;
  /** The highest learning rate: it rises over the first twentieth of the steps and falls to a tenth of it. Default: 2e-3. */
  readonly learningRate?: number;
  /** Default: 0.01. */
  readonly weightDecay?: number;
  /** Bound on the norm of the gradient; 0: none. Default: 1. */
  readonly clipNorm?: number;
  /** What the operands of products are rounded to, as TrainerOptions say. Default: f32. */
  readonly precision?: Precision;
  /** The loss of outputs; classes and quantiles have their own. `huber` has delta 1, in standard deviations. Default: mse. */
  readonly loss?: 'mse' | 'mae' | 'huber';
  /** The first fit measures mean and deviation of inputs and outputs, which become part of the model. Default: true. */
  readonly standardise?: boolean;
  /** Decides the order of examples, and what dropout drops. Default: 1. */
  readonly seed?: number;
  /**
   * Ends training after the step at work; fit rejects with its reason, and the model keeps what it has learned: with
   * validation, what it had after its best epoch so far.
   */
  readonly signal?: AbortSignal;
  /** Called after each epoch and its measurement. Default: nothing is. */
  readonly onEpoch?: (epoch: Epoch) => void;
  /**
   * Processes that share the examples of each step: `await mpi()`. All have the same model, examples and options, else all
   * reject; each ends with the same model. A `signal` of one of them ends training on all. Default: one process.
   */
  readonly collective?: Collective;
}

/** What `fit` tells of an epoch. */
export interface Epoch {
  /** Counted from 1. */
  readonly epoch: number;
  /** The epochs that were asked for. */
  readonly epochs: number;
  /** Mean loss of the epoch's targets, in standardised units; in nats for classes. */
  readonly loss: number;
  /** Mean loss of the validation's targets after the epoch, in the same units; undefined without validation. */
  readonly validationLoss: number | undefined;
  /** Of its last step. */
  readonly learningRate: number;
  /** The time of the measurement counts. */
  readonly stepsPerSecond: number;
  /** Since the first epoch began. */
  readonly seconds: number;
}

/** What `fit` did. */
export interface FitResult {
  /** Those that were made, in order. */
  readonly epochs: readonly Epoch[];
  /** The one whose parameters the model has: that of the least validation loss, or the last. */
  readonly best: Epoch;
  /** Training ended because the validation loss had not become better for `patience` epochs. */
  readonly stoppedEarly: boolean;
}

const LOSSES: Readonly<Record<'mse' | 'mae' | 'huber', ElementLoss>> = {
  mse: squaredError,
  mae: absoluteError,
  huber: huberLoss(1),
};

const OPTION_NAMES: readonly (keyof FitOptions)[] = [
  'epochs',
  'batchSize',
  'validation',
  'patience',
  'learningRate',
  'weightDecay',
  'clipNorm',
  'precision',
  'loss',
  'standardise',
  'seed',
  'signal',
  'onEpoch',
  'collective',
];

/** What has to be the same on all ranks. */
const COMPARED_OPTIONS = [
  ...(['epochs', 'batchSize', 'patience', 'learningRate', 'weightDecay', 'clipNorm'] as const),
  ...(['loss', 'standardise', 'seed'] as const),
];

/** What `fit` of a SequenceModel does. */
export async function fitSequences(
  model: Model<SequenceNetwork>,
  examples: Examples,
  options: FitOptions,
): Promise<FitResult> {
  checkNames('fit', options, OPTION_NAMES);
  const { epochs = 20, patience, learningRate = 2e-3, loss = 'mse', standardise = true } = options;
  const { weightDecay = 0.01, clipNorm = 1, seed = 1, precision, signal, onEpoch } = options;
  const { collective = oneProcess } = options;
  checkWhole('epochs', epochs, 1);
  if (options.batchSize !== undefined) checkWhole('batchSize', options.batchSize, 1);
  if (patience !== undefined) checkWhole('patience', patience, 1);
  checkOption(
    patience === undefined || options.validation !== undefined,
    'patience',
    'none without validation',
    patience,
  );
  checkNumber('learningRate', learningRate, 'a finite number above 0', (value) => value > 0);
  checkChoice('loss', loss, Object.keys(LOSSES));
  const { config } = model.network;
  checkOption(
    config.outputs + config.classes.length > 0,
    'fit',
    'a model with outputs or classes',
    'one without',
  );

  const train = await encodeAll(examples, config, 'examples');
  const validation = options.validation
    ? await encodeAll(options.validation, config, 'validation')
    : undefined;
  checkTargets(train, config);
  await requireAgreement(collective, async () => ({
    engine: engineFact(model.engine),
    model: JSON.stringify(config),
    ...Object.fromEntries(
      COMPARED_OPTIONS.map((name) => [`option ${name}`, JSON.stringify(options[name]) ?? 'none']),
    ),
    weights: await modelFingerprint(model),
    'set of examples': digest(train),
    'set of validation examples': digest(validation ?? []),
  }));
  if (standardise) await measureScale(model, train);

  const all = validation ? [...train, ...validation] : train;
  const length = all.reduce((most, example) => Math.max(most, example.length), 0);
  const padded = all.some((example) => example.length !== length);
  const batchSize = Math.min(options.batchSize ?? Math.min(32, Math.ceil(train.length / 8)), train.length);
  const objective = sequenceObjective(LOSSES[loss], padded);
  const stepsPerEpoch = Math.ceil(train.length / batchSize);
  const totalSteps = epochs * stepsPerEpoch;
  const schedule = warmupCosine({
    peak: learningRate,
    warmupSteps: Math.min(totalSteps, Math.ceil(totalSteps / 20)),
    totalSteps,
    finalFraction: 0.1,
  });
  const optimizer = { weightDecay };
  const shape = { batchSize, length };
  // Of the examples of a step each rank has as many, the last ones perhaps fewer.
  const share = { batchSize: Math.ceil(batchSize / collective.size), length };
  const own = collective.rank * share.batchSize;
  using trainer = new Trainer(model, {
    ...share,
    ...{ objective, optimizer, clipNorm, schedule, seed, collective, precision },
  });
  const aborted = async (): Promise<boolean> =>
    (await sumOverRanks(collective, [signal?.aborted ? 1 : 0]))[0] > 0;
  using evaluator =
    validation && new Evaluator(model, { lanes: batchSize, length, objective, carryState: false });

  const random = new Random(seed);
  const order = train.map((_, i) => i);
  const history: Epoch[] = [];
  let best: { readonly epoch: Epoch; readonly parameters: ReadonlyMap<string, NamedValues> } | undefined;
  const restoreBest = (): void => best && model.write(best.parameters, 'the best epoch');
  const start = performance.now();
  for (let epoch = 1; epoch <= epochs; epoch++) {
    const epochStart = performance.now();
    shuffle(order, random);
    let sum = 0;
    let targets = 0;
    for (let first = 0; first < order.length; first += batchSize) {
      if (await aborted()) {
        restoreBest();
        throw signal?.reason ?? new XlstmError('usage', 'another rank was told to stop');
      }
      const chosen = order.slice(first, first + batchSize).map((i) => train[i]);
      const whole = batchOf(chosen, config, shape, padded);
      const count = objective.count(whole);
      // Rows whose targets are all missing have nothing to say.
      if (count === 0) continue;
      const batch =
        collective.size === 1
          ? whole
          : batchOf(chosen.slice(own, own + share.batchSize), config, share, padded);
      sum += (await trainer.step(batch)).loss * count;
      targets += count;
      await shareEventLoop();
    }
    const validationLoss =
      evaluator && validation
        ? (
            await meanOverRanks(
              collective,
              await evaluator.sumBatches(batchesOf(validation, config, shape, padded, collective)),
            )
          ).loss
        : undefined;
    const now = performance.now();
    const record: Epoch = {
      epoch,
      epochs,
      loss: sum / targets,
      validationLoss,
      learningRate: schedule(trainer.steps),
      stepsPerSecond: (stepsPerEpoch * 1000) / (now - epochStart),
      seconds: (now - start) / 1000,
    };
    if (!Number.isFinite(record.loss)) {
      restoreBest();
      throw new XlstmError(
        'diverged',
        `epoch ${epoch}: the loss is ${record.loss}: training diverged`,
        'Use a lower learningRate, or look for values far from all others in the inputs.',
      );
    }
    history.push(record);
    if (validationLoss !== undefined && !(validationLoss >= (best?.epoch.validationLoss ?? Infinity))) {
      best = { epoch: record, parameters: await model.read() };
    }
    onEpoch?.(record);
    if (patience !== undefined && best && epoch - best.epoch.epoch >= patience) break;
  }
  restoreBest();
  const last = history[history.length - 1];
  return { epochs: history, best: best?.epoch ?? last, stoppedEarly: last.epoch < epochs };
}

/** How many examples there are, and a number that tells them from others. */
function digest(examples: readonly EncodedExample[]): string {
  const fingerprint = new Fingerprint();
  for (const { x, targets, weights } of examples) {
    fingerprint.text(`${x.length}\n`).numbers(x).numbers(targets).numbers(weights);
  }
  return `${examples.length}, digest ${fingerprint}`;
}

function shuffle(order: number[], random: Random): void {
  for (let i = order.length - 1; i > 0; i--) {
    const j = random.integer(i + 1);
    [order[i], order[j]] = [order[j], order[i]];
  }
}

/** Rows beyond the examples are one step without a target. */
function batchOf(
  examples: readonly EncodedExample[],
  { inputs, outputs, classes, pool }: SequenceConfig,
  { batchSize, length }: { readonly batchSize: number; readonly length: number },
  padded: boolean,
): SequenceArrays {
  const results = pool === 'none' ? length : 1;
  const columns = classes.length > 0 ? 1 : outputs;
  const x = new Float32Array(batchSize * length * inputs);
  const targets = new Float32Array(batchSize * results * columns);
  const weights = new Float32Array(batchSize * results);
  const lengths = new Float32Array(batchSize).fill(1);
  for (const [i, example] of examples.entries()) {
    x.set(example.x, i * length * inputs);
    targets.set(example.targets, i * results * columns);
    weights.set(example.weights, i * results);
    lengths[i] = example.length;
  }
  return padded ? { x, targets, weights, lengths } : { x, targets, weights };
}

/** Of the batches of several processes those of one. */
function* batchesOf(
  examples: readonly EncodedExample[],
  config: SequenceConfig,
  shape: { readonly batchSize: number; readonly length: number },
  padded: boolean,
  { rank, size }: Pick<Collective, 'rank' | 'size'>,
): Generator<SequenceArrays> {
  const { batchSize } = shape;
  for (let first = rank * batchSize; first < examples.length; first += size * batchSize) {
    yield batchOf(examples.slice(first, first + shape.batchSize), config, shape, padded);
  }
}

/** Throws a data error where there is nothing to learn. */
function checkTargets(examples: readonly EncodedExample[], { classes, outputs }: SequenceConfig): void {
  const columns = classes.length > 0 ? 1 : outputs;
  const first: (number | undefined)[] = new Array(columns).fill(undefined);
  const varies: boolean[] = new Array(columns).fill(false);
  for (const { targets, weights } of examples) {
    for (let r = 0; r < weights.length; r++) {
      if (weights[r] === 0) continue;
      for (let c = 0; c < columns; c++) {
        const value = targets[r * columns + c];
        first[c] ??= value;
        if (value !== first[c]) varies[c] = true;
      }
    }
  }
  if (first[0] === undefined) throw new XlstmError('data', 'examples: every target is missing');
  const constant = varies.indexOf(false);
  if (constant < 0) return;
  const what = classes.length > 0 ? `"${classes[first[constant] as number]}"` : `${first[constant]}`;
  throw new XlstmError(
    'data',
    `examples: targets${columns > 1 ? `, column ${constant}` : ''}: all are ${what}: there is nothing to learn`,
  );
}

/**
 * Mean and standard deviation of each input over all steps, and of each output over all targets, once: a model that was
 * trained keeps its units.
 */
async function measureScale(
  model: Model<SequenceNetwork>,
  examples: readonly EncodedExample[],
): Promise<void> {
  const { inputs, outputs } = model.network.config;
  const tensors = await model.read();
  const { values: scale } = tensors.get('input_scaler.scale') as NamedValues;
  const { values: mean } = tensors.get('input_scaler.mean') as NamedValues;
  if (Array.from(scale).some((value) => value !== 1) || Array.from(mean).some((value) => value !== 0)) return;
  const x = new Moments(inputs);
  const y = new Moments(outputs);
  for (const example of examples) {
    for (let t = 0; t < example.length; t++) x.add(example.x, t * inputs);
    if (outputs === 0) continue;
    for (let r = 0; r < example.weights.length; r++) {
      if (example.weights[r] === 1) y.add(example.targets, r * outputs);
    }
  }
  for (const [name, moments] of [
    ['input_scaler', x],
    ['output_scaler', y],
  ] as const) {
    if (moments.count === 0) continue;
    tensors.set(`${name}.mean`, { shape: [moments.width], values: moments.mean });
    tensors.set(`${name}.scale`, { shape: [moments.width], values: moments.deviation() });
  }
  model.write(tensors, 'the scale of the data');
}

/** Mean and deviation of rows as they come (Welford 1962). */
class Moments {
  readonly width: number;
  readonly mean: Float64Array;
  count = 0;
  readonly #squares: Float64Array;

  constructor(width: number) {
    this.width = width;
    this.mean = new Float64Array(width);
    this.#squares = new Float64Array(width);
  }

  add(values: ArrayLike<number>, at: number): void {
    this.count++;
    for (let i = 0; i < this.width; i++) {
      const difference = values[at + i] - this.mean[i];
      this.mean[i] += difference / this.count;
      this.#squares[i] += difference * (values[at + i] - this.mean[i]);
    }
  }

  /** 1 for a number that never changes: it says nothing, and is only shifted to 0. */
  deviation(): Float64Array {
    return this.#squares.map((sum) => Math.sqrt(sum / this.count) || 1);
  }
}
