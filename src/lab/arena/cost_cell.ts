import { contestants } from '../../models/baselines/contestants.ts';
import { Model } from '../../nn/model.ts';
import { Trainer } from '../../training/trainer.ts';
import { DecodingSubject } from '../bench/generate.ts';
import { measureInTurns, median } from '../bench/statistics.ts';
import { randomBatch, randomTokens } from '../bench/subject.ts';
import { type CellContext, headOf, sizeModel } from './cell.ts';
import { costSettings } from './cell_settings.ts';
import type { CellRecord } from './records.ts';

/** Bytes, as in text. */
export const COST_VOCABULARY = 256;
const LEARNING_RATE = 1e-3;

/**
 * Time and memory of training and of decoding against the length of the sequence, of a model that knows nothing. The
 * window of attention is that length; decoding is measured where it is full, and stays so.
 */
export async function runCost(context: CellContext): Promise<CellRecord> {
  const { spec, engine, onProgress } = context;
  const settings = costSettings(spec.quick);
  const { lengths, tokensPerStep, decodedTokens, trainRepeats, decodeRepeats } = settings;
  const sized = sizeModel(spec, COST_VOCABULARY, {});
  const modelFor = (contextLength: number): Model =>
    Model.create(
      engine,
      (scope) => contestants[spec.model].build(scope, { ...sized.config, contextLength }),
      spec.seed,
    );
  const begin = performance.now();
  const parts = lengths.length * (trainRepeats + 2);
  let done = 0;
  const progress = (): void => onProgress({ fraction: ++done / parts, loss: Number.NaN, score: undefined });

  const training = lengths.map((length) => {
    const batchSize = Math.max(1, Math.floor(tokensPerStep / length));
    const trainer = new Trainer(modelFor(length), { batchSize, length });
    return { trainer, batchSize, batch: randomBatch(COST_VOCABULARY, batchSize, length) };
  });
  const trainSeconds = await measureInTurns(
    training,
    async ({ trainer, batch }) => {
      await trainer.step([batch], LEARNING_RATE);
      progress();
    },
    trainRepeats,
  );

  const decoding: DecodingSubject[] = [];
  for (const length of lengths) {
    const subject = new DecodingSubject(modelFor(length));
    await subject.read(randomTokens(COST_VOCABULARY, length));
    decoding.push(subject);
    progress();
  }
  const decode = (subject: DecodingSubject): Promise<void> => subject.decode(decodedTokens);
  const decodeSeconds = await measureInTurns(decoding, decode, decodeRepeats);

  const cost = lengths.map((length, i) => {
    const { trainer, batchSize } = training[i];
    return {
      length,
      trainMsPerToken: (1000 * median(trainSeconds[i])) / (batchSize * length),
      decodeMsPerToken: (1000 * median(decodeSeconds[i])) / decodedTokens,
      stateBytes: decoding[i].stateBytes,
      programBytes: Math.round(trainer.programBytes / batchSize),
    };
  });
  return {
    ...headOf(context, sized, { ...settings, learningRate: LEARNING_RATE }),
    status: 'done',
    steps: lengths.length * (trainRepeats + 1),
    tokens: lengths.reduce((sum, length) => sum + Math.max(length, tokensPerStep), 0) * (trainRepeats + 1),
    trainSeconds: (performance.now() - begin) / 1000,
    curve: [],
    cost,
  };
}
