import { contestants } from '../baselines/contestants.ts';
import { DecodingSubject } from '../bench/generate.ts';
import { measure, median, secondsOf } from '../bench/statistics.ts';
import { randomBatch, randomTokens } from '../bench/subject.ts';
import { TRAINING } from '../bench/train.ts';
import { Model } from '../nn/model.ts';
import { Trainer } from '../training/trainer.ts';
import { type CellContext, headOf, sizeModel } from './cell.ts';
import type { CellRecord } from './records.ts';
import { costSettings } from './settings.ts';

/** Bytes, as in text. */
const VOCABULARY = 256;
const LEARNING_RATE = 1e-3;

/**
 * Time and memory of training and of decoding against the length of the sequence, of a model that knows nothing. The
 * window of attention is that length, and decoding is measured where it is full.
 */
export async function runCost(context: CellContext): Promise<CellRecord> {
  const { spec, engine, onProgress } = context;
  const settings = costSettings(spec.quick);
  const { lengths, tokensPerStep, decodedTokens, repeats } = settings;
  const sized = sizeModel(spec, VOCABULARY, {});
  const modelFor = (contextLength: number): Model =>
    Model.create(
      engine,
      (scope) => contestants[spec.model].build(scope, { ...sized.config, contextLength }),
      spec.seed,
    );
  const cost: NonNullable<CellRecord['cost']> = [];
  const begin = performance.now();
  let done = 0;
  const progress = (): void =>
    onProgress({ fraction: ++done / (2 * lengths.length), loss: Number.NaN, score: undefined });

  for (const length of lengths) {
    const batchSize = Math.max(1, Math.floor(tokensPerStep / length));
    const trainer = new Trainer(modelFor(length), { ...TRAINING, batchSize, length });
    const batch = randomBatch(VOCABULARY, batchSize, length);
    const seconds = await measure(() => trainer.step([batch], LEARNING_RATE), repeats);
    cost.push({
      length,
      trainMsPerToken: (1000 * median(seconds)) / (batchSize * length),
      decodeMsPerToken: null,
      stateBytes: 0,
      programBytes: Math.round(trainer.programBytes / batchSize),
    });
    progress();
  }

  const decoding: { subject: DecodingSubject; before: ArrayLike<number> }[] = [];
  for (const [i, length] of lengths.entries()) {
    const subject = new DecodingSubject(modelFor(length));
    await subject.read(randomTokens(VOCABULARY, length));
    decoding.push({ subject, before: await subject.save() });
    cost[i].stateBytes = subject.stateBytes;
    progress();
  }
  // The lengths take turns, so that what else the machine does meets all of them. The first turn does not count.
  const seconds: number[][] = lengths.map(() => []);
  for (let turn = 0; turn <= repeats; turn++) {
    for (const [i, { subject, before }] of decoding.entries()) {
      subject.restore(before);
      const took = await secondsOf(() => subject.decode(decodedTokens));
      if (turn > 0) seconds[i].push(took);
    }
  }
  seconds.forEach((all, i) => {
    cost[i].decodeMsPerToken = (1000 * median(all)) / decodedTokens;
  });
  return {
    ...headOf(context, sized, { ...settings, learningRate: LEARNING_RATE }),
    status: 'done',
    steps: lengths.length * (repeats + 1),
    tokens: lengths.reduce((sum, length) => sum + Math.max(length, tokensPerStep), 0) * (repeats + 1),
    trainSeconds: (performance.now() - begin) / 1000,
    curve: [],
    cost,
  };
}
