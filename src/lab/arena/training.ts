import type { Model } from '../../nn/model.ts';
import type { TrainingBatch } from '../../training/objective.ts';
import { warmupCosine } from '../../training/schedule.ts';
import { Trainer } from '../../training/trainer.ts';
import type { CellRecord } from './records.ts';

/** How the models of a task are trained; every number is recorded with the cell. */
export interface TrainingSettings {
  /** At most; a cell that runs out of time makes fewer. */
  readonly steps: number;
  readonly batchSize: number;
  readonly learningRate: number;
  /** Part of the training in which the learning rate rises. */
  readonly warmup: number;
  /** Learning rate at the end as a fraction of `learningRate`. */
  readonly finalFraction: number;
  readonly weightDecay: number;
  /** Bound on the gradient's norm; 0: none. */
  readonly clipNorm: number;
  readonly beta1: number;
  readonly beta2: number;
  /** Part of the training in which sequences are short at first and grow; 0: the task's lengths from the start on. */
  readonly curriculum: number;
}

export interface Course {
  readonly settings: TrainingSettings;
  readonly seed: number;
  /** Tokens of each row of a batch. */
  readonly length: number;
  /** Time for training and checks; the learning rate reaches its end with the time or the steps, whichever is first. */
  readonly seconds: number;
  /** `fraction`: how much of the training is over, 0 to 1. */
  readonly nextBatch: (fraction: number) => TrainingBatch;
  /** The loss of a model that knows nothing. */
  readonly chanceLoss: number;
  /** A quick look at how well the model does; training ends early once it gives `solved`. */
  readonly check?: () => Promise<number>;
}

export interface CourseProgress {
  /** Of this cell's steps or time, 0 to 1. */
  readonly fraction: number;
  readonly loss: number;
  /** Of the latest check. */
  readonly score: number | undefined;
}

export interface CourseResult extends Pick<CellRecord, 'steps' | 'tokens' | 'trainSeconds' | 'curve'> {
  /** What became of a training that did not stay finite. */
  readonly diverged: string | undefined;
}

/** A check at least this good ends the training. */
const SOLVED = 0.999;

/** Part of the steps made so far over which the learning rate then goes to zero: it settles what was learned. */
const COOL_DOWN = 0.15;

/** Points of the recorded loss curve. */
const POINTS = 80;

/** Checks for the display while the loss is high; a check costs as much as several steps. */
const SPARSE_CHECKS = 10;
/** Steps between checks where the loss says that the task may be solved, and the most of the time that they may take. */
const DENSE_CHECK = 40;
const CHECKS_SHARE = 0.1;
const PROMISING = 0.2;

/** Trains a model with AdamW, warm-up and cosine; stops early when the task is solved or the loss not finite. */
export async function train(
  model: Model,
  course: Course,
  onProgress: (progress: CourseProgress) => void,
): Promise<CourseResult> {
  const { settings, seed, length, nextBatch, check } = course;
  const { steps, batchSize, beta1, beta2, weightDecay, clipNorm } = settings;
  const trainer = new Trainer(model, {
    batchSize,
    length,
    seed,
    optimizer: { beta1, beta2, weightDecay },
    clipNorm,
  });
  const schedule = warmupCosine({
    peak: settings.learningRate,
    warmupSteps: Math.round(settings.warmup * steps),
    totalSteps: steps,
    finalFraction: settings.finalFraction,
  });
  const curve = new LossCurve(batchSize * length, POINTS);
  const begin = performance.now();
  let trainSeconds = 0;
  let checkSeconds = 0;
  let score: number | undefined;
  let nextSparseCheck = 1 / SPARSE_CHECKS;
  let smoothed = course.chanceLoss;
  let solvedAt = 0;
  let diverged: string | undefined;
  for (let step = 1; ; step++) {
    const fraction = Math.min(1, Math.max(step / steps, (performance.now() - begin) / 1000 / course.seconds));
    const cooling = solvedAt > 0 ? (step - solvedAt) / Math.max(1, Math.ceil(COOL_DOWN * solvedAt)) : 0;
    const start = performance.now();
    const rate = schedule(fraction * steps) * Math.max(0, 1 - cooling);
    const { loss, gradientNorm } = await trainer.step([nextBatch(fraction)], rate);
    trainSeconds += (performance.now() - start) / 1000;
    if (!Number.isFinite(loss) || !Number.isFinite(gradientNorm)) {
      diverged = `step ${step}: loss ${loss}, norm of the gradient ${gradientNorm}`;
      break;
    }
    curve.add(step, trainSeconds, loss);
    smoothed += 0.1 * (loss - smoothed);
    if (fraction >= 1) break;
    if (check && cooling >= 1) {
      score = await check();
      if (score >= SOLVED) break;
      // A high learning rate can lose what it found: the training goes on.
      solvedAt = 0;
    }
    if (check && solvedAt === 0) {
      const promising =
        smoothed < PROMISING * course.chanceLoss &&
        step % DENSE_CHECK === 0 &&
        checkSeconds <= CHECKS_SHARE * trainSeconds;
      if (promising || fraction >= nextSparseCheck) {
        nextSparseCheck = fraction + 1 / SPARSE_CHECKS;
        const checking = performance.now();
        score = await check();
        checkSeconds += (performance.now() - checking) / 1000;
        if (score >= SOLVED) solvedAt = step;
      }
    }
    onProgress({ fraction, loss: smoothed, score });
  }
  const tokens = trainer.steps * batchSize * length;
  return { steps: trainer.steps, tokens, trainSeconds, curve: curve.finish(), diverged };
}

/** The mean loss of stretches of steps; of all steps so far, however many those are, at most `2 × points` stretches. */
class LossCurve {
  readonly #tokensPerStep: number;
  readonly #points: number;
  #each = 1;
  #curve: CellRecord['curve'] = [];
  #open: { step: number; seconds: number; losses: number[] } = { step: 0, seconds: 0, losses: [] };

  constructor(tokensPerStep: number, points: number) {
    this.#tokensPerStep = tokensPerStep;
    this.#points = points;
  }

  add(step: number, seconds: number, loss: number): void {
    this.#open = { step, seconds, losses: [...this.#open.losses, loss] };
    if (this.#open.losses.length < this.#each) return;
    this.#close();
    if (this.#curve.length < 2 * this.#points) return;
    this.#each *= 2;
    this.#curve = this.#curve.flatMap((point, i) =>
      i % 2 === 0 ? [] : [{ ...point, loss: (point.loss + this.#curve[i - 1].loss) / 2 }],
    );
  }

  finish(): CellRecord['curve'] {
    if (this.#open.losses.length > 0) this.#close();
    return this.#curve;
  }

  #close(): void {
    const { step, seconds, losses } = this.#open;
    const loss = losses.reduce((sum, value) => sum + value, 0) / losses.length;
    this.#curve.push({
      step,
      tokens: step * this.#tokensPerStep,
      seconds: round(seconds),
      loss: round(loss),
    });
    this.#open = { step, seconds, losses: [] };
  }
}

/** Files stay readable: six digits. */
const round = (value: number): number => Number(value.toPrecision(6));
