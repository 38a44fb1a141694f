import type { Engine } from '../../compute/engines/engine.ts';
import { TokenBatches } from '../../data/batches.ts';
import type { Model } from '../../nn/model.ts';
import { warmupCosine } from '../../training/schedule.ts';
import { Trainer } from '../../training/trainer.ts';
import { batchOf, type StudyProgress, type StudySpec, stepsOf } from './cell.ts';
import { createStudyModel, studyHead } from './cell_model.ts';
import { openCorpus } from './corpus.ts';
import { heldOutLoss } from './held_out_loss.ts';
import { longLength, lossByPosition } from './loss_by_position.ts';
import { plantedRecall } from './planted_recall.ts';
import type { StudyRecord } from './records.ts';

/** The same for every model and size. */
const OPTIMIZER = { beta1: 0.9, beta2: 0.95, weightDecay: 0.1 };
const CLIP_NORM = 1;
/** Part of the training in which the learning rate rises, and what is left of it at the end. */
const WARMUP = 0.1;
const FINAL_FRACTION = 0.1;
/** Points of the recorded curve. */
const POINTS = 20;

/** Trains a model on its share of the tokens and measures it on text that was held out. */
export async function runTraining(
  spec: StudySpec,
  engine: Engine,
  onProgress: (progress: StudyProgress) => void,
): Promise<StudyRecord> {
  const begin = performance.now();
  const { cell, settings } = spec;
  const corpus = await openCorpus(spec.corpus);
  try {
    const contextLength = Math.max(longLength(cell.context), ...settings.distances.map((n) => 2 * n));
    const model = createStudyModel(engine, cell.model, { ...spec.config, contextLength }, cell.seed);
    const batchSize = batchOf(cell.context, settings.tokensPerStep);
    const batches = new TokenBatches(corpus.train, {
      batchSize,
      length: cell.context,
      order: 'shuffled',
      seed: cell.seed,
    });
    const { diverged, ...course } = await train(model, spec, batchSize, batches, onProgress);
    const record = { ...studyHead(spec, engine.description), ...course };
    const wall = () => ({ wallSeconds: (performance.now() - begin) / 1000 });
    if (diverged) return { ...record, status: 'diverged', message: diverged, ...wall() };

    const { facts, heldOut } = corpus;
    const token = await heldOutLoss(model, heldOut, cell.context, settings.validationTokens);
    const loss = { token, byte: (token * facts.heldOutTokens) / facts.heldOutBytes };
    if (!spec.long) return { ...record, status: 'done', loss, ...wall() };
    const positions = await lossByPosition(model, heldOut, cell.context, settings.longSequences);
    const recall = await plantedRecall(model, heldOut, settings.distances);
    return { ...record, status: 'done', loss, positions, recall, ...wall() };
  } finally {
    corpus.close();
  }
}

type Course = Pick<StudyRecord, 'steps' | 'tokens' | 'flops' | 'seconds' | 'cpuSeconds' | 'curve'>;

async function train(
  model: Model,
  { cell, settings, learningRate }: StudySpec,
  batchSize: number,
  batches: TokenBatches,
  onProgress: (progress: StudyProgress) => void,
): Promise<Course & { readonly diverged: string | undefined }> {
  const steps = stepsOf(cell, settings.tokensPerStep);
  using trainer = new Trainer(model, {
    batchSize,
    length: cell.context,
    optimizer: OPTIMIZER,
    clipNorm: CLIP_NORM,
    schedule: warmupCosine({
      peak: learningRate,
      warmupSteps: Math.ceil(WARMUP * steps),
      totalSteps: steps,
      finalFraction: FINAL_FRACTION,
    }),
  });
  // Planned before the clock starts.
  const { flops } = trainer.executable.program;
  const tokensPerStep = batchSize * cell.context;
  const curve: Course['curve'] = [];
  const each = Math.max(1, Math.ceil(steps / POINTS));
  let losses: number[] = [];
  let diverged: string | undefined;
  const start = performance.now();
  const cpu = process.cpuUsage();
  for (let step = 1; step <= steps && !diverged; step++) {
    const { loss, gradientNorm } = await trainer.step(batches.next());
    if (!Number.isFinite(loss) || !Number.isFinite(gradientNorm)) {
      diverged = `step ${step}: loss ${loss}, norm of the gradient ${gradientNorm}`;
      break;
    }
    losses.push(loss);
    if (step % each === 0 || step === steps) {
      const mean = losses.reduce((sum, value) => sum + value, 0) / losses.length;
      curve.push({ tokens: step * tokensPerStep, loss: Number(mean.toPrecision(6)) });
      losses = [];
    }
    onProgress({ fraction: step / steps });
  }
  const used = process.cpuUsage(cpu);
  return {
    steps: trainer.steps,
    tokens: trainer.steps * tokensPerStep,
    flops: trainer.steps * flops,
    seconds: (performance.now() - start) / 1000,
    cpuSeconds: (used.user + used.system) / 1e6,
    curve,
    diverged,
  };
}
