import { taskByName } from '../../../tasks/registry.ts';
import type { CellRecord } from '../../records.ts';
import { reportedLengths } from '../../task_score.ts';

/** A run with nothing measured; what a test looks at is given. */
export const aRun = (parts: Partial<CellRecord> & Pick<CellRecord, 'task' | 'model'>): CellRecord => ({
  kind: 'cell',
  taskTitle: parts.task,
  seed: 1,
  status: 'done',
  parameters: 200_000,
  budget: 200_000,
  settings: { learningRate: 0.001 },
  engine: 'native avx512, 1 thread',
  steps: 1000,
  tokens: 1_000_000,
  trainSeconds: 60,
  curve: [],
  ...parts,
});

/** Scores of a task that fall from `score` by `fade` each time the length doubles. */
export function scoreRun(task: string, model: string, seed: number, score: number, fade = 0): CellRecord {
  const definition = taskByName(task);
  const chance = definition.chanceAccuracy;
  const { trained, tested } = reportedLengths(definition);
  const known = trained?.[1] ?? tested[0][1];
  const accuracy = [...(trained ? [trained] : []), ...tested].map(([, length]) => {
    const scaled = Math.max(-0.01, score - Math.log2(length / known) * fade);
    return { length, accuracy: chance + scaled * (1 - chance), scaled, count: 4096 };
  });
  const scaledAccuracy = accuracy.reduce((sum, { scaled }) => sum + scaled, 0) / accuracy.length;
  return aRun({
    task,
    taskTitle: definition.title,
    model,
    seed,
    accuracy,
    scaledAccuracy,
    chance,
    parameters: 198_000 + (model.length % 5) * 900,
    settings: {
      blocks: 2,
      heads: 4,
      learningRate: seed === 1 ? 0.001 : 0.003,
      batch: 64,
      warmupSteps: 200,
      weightDecay: 0.1,
    },
  });
}

const FACTORS = [1, 2, 4, 8, 16];

/** A text run that ends near `loss` and whose loss grows by `growth` with each doubling of the length. */
export function textRun(model: string, seed: number, loss: number, growth: number): CellRecord {
  const rate = 40_000 - 2_000 * (model.length % 7);
  const curve = Array.from({ length: 400 }, (_, k) => {
    const tokens = (k + 1) * 8192;
    const noise = 0.03 * Math.sin(k * 12.9898 + seed * 78.233);
    return {
      step: (k + 1) * 10,
      tokens,
      seconds: tokens / rate,
      loss: loss + 3.6 * Math.exp(-((k + 1) ** 0.45)) + noise,
    };
  });
  return aRun({
    task: 'text',
    taskTitle: 'Text, sotu, bytes',
    model,
    seed,
    curve,
    text: FACTORS.map((factor) => ({
      factor,
      length: 256 * factor,
      loss: loss * (1 + growth * Math.log2(factor)),
    })),
    tokens: 400 * 8192,
    steps: 4000,
    trainSeconds: (400 * 8192) / rate,
    settings: {
      blocks: 4,
      dim: 64,
      heads: 4,
      learningRate: 0.003,
      batch: 32,
      length: 256,
      tokenizer: 'bytes',
    },
  });
}

/** Cost that is level, or rises with the length past `knee`. */
export function costRun(model: string, base: number, knee: number): CellRecord {
  const lengths = [128, 256, 512, 1024, 2048, 4096, 8192, 16_384];
  return aRun({
    task: 'cost',
    taskTitle: 'Cost against length',
    model,
    steps: 0,
    tokens: 0,
    trainSeconds: 0,
    settings: { dim: 64, blocks: 4 },
    cost: lengths.map((length) => ({
      length,
      trainMsPerToken: base * (1 + length / knee),
      decodeMsPerToken: 2 * base * (1 + (4 * length) / knee),
      stateBytes: knee < 1e6 ? 1024 * length : 66_048,
      programBytes: 4_000_000 + 9000 * length,
    })),
  });
}

/** What `--quick` gives, with a model that diverges, a seed that fails, one that is missing, and one unheard of. */
export function mixedRecords(): CellRecord[] {
  const tracking = {
    lstm: 1,
    transformer: 0.04,
    mamba: 0.12,
    'xlstm[0:1]': 1,
    'xlstm[1:0]': 0.05,
    'xlstm[1:1]': 0.995,
  };
  const records = Object.entries(tracking).flatMap(([model, score], k) =>
    [1, 2, 3].flatMap((seed) => [
      scoreRun('parity', model, seed, seed === 2 && score > 0.5 ? 0.61 : score, score > 0.5 ? 0 : 0.02),
      scoreRun('s3', model, seed, score > 0.5 ? 1 - 0.0004 * seed : 0.9, score > 0.5 ? 0 : 0.3),
      scoreRun('mqar[64,4]', model, seed, k === 0 ? 0.4 : 0.996),
      scoreRun('cycle-navigation', model, seed, model === 'lstm' ? 1 : score * 0.4 + 0.1 * seed, 0.1),
    ]),
  );
  const texts = Object.keys(tracking).flatMap((model, k) =>
    [1, 2].map((seed) =>
      textRun(model, seed, 1.42 + 0.05 * k + 0.01 * seed, model === 'transformer' ? 0.12 : 0.003),
    ),
  );
  const costs = [
    costRun('lstm', 0.011, 1e9),
    costRun('transformer', 0.009, 1800),
    costRun('gpt', 0.03, 4000),
    costRun('mamba', 0.021, 1e9),
    costRun('xlstm[0:1]', 0.016, 1e9),
    costRun('xlstm[1:0]', 0.018, 1e9),
    costRun('xlstm[1:1]', 0.017, 1e9),
  ];
  const message = 'the loss was NaN\nafter a gradient norm of 3.1e8';
  const diverged = {
    status: 'diverged',
    message,
    steps: 312,
    scaledAccuracy: undefined,
    accuracy: undefined,
  } as const;
  const broken = textRun('retnet', 1, 2.4, 0);
  return [
    ...records.filter(({ task, model }) => !(task === 's3' && model === 'transformer')),
    ...texts,
    ...costs,
    { ...scoreRun('parity', 'retnet', 1, 0.03), ...diverged },
    {
      ...scoreRun('s3', 'retnet', 1, 0.2),
      ...diverged,
      status: 'failed',
      message: 'out of memory: asked for 9.1 GB',
    },
    { ...scoreRun('cycle-navigation', 'xlstm[1:1]', 4, 0), ...diverged },
    { ...broken, ...diverged, text: undefined, curve: broken.curve.slice(0, 60) },
    { ...costRun('minlstm', 0.01, 1e9), status: 'failed', message: 'no decoding <step>', cost: undefined },
    scoreRun('parity', 'my-model', 1, 0.33, 0.05),
    aRun({ task: 'home-made', taskTitle: 'A task of one’s own', model: 'lstm' }),
  ];
}
