import { TokenBatches } from '../../data/batches.ts';
import { encodeCorpus, readCorpus } from '../../data/corpus.ts';
import { firstTokens } from '../../data/token_source.ts';
import { ByteTokenizer } from '../../data/tokenizer.ts';
import { XlstmError } from '../../errors.ts';
import type { Model } from '../../nn/model.ts';
import { Evaluator } from '../../training/evaluate.ts';
import type { TrainingBatch } from '../../training/objective.ts';
import { type CellContext, cellModel, headOf, overridden, sizeModel } from './cell.ts';
import { TEXT_FACTORS, textSettings } from './cell_settings.ts';
import type { CellRecord } from './records.ts';
import { train } from './training.ts';

const LANES = 16;

/** Language modelling on bytes: as many tokens for every model, then the loss over longer and longer sequences. */
export async function runText(context: CellContext): Promise<CellRecord> {
  const { spec, onProgress } = context;
  const settings = overridden(textSettings(spec.model, spec.quick), spec);
  const { length, testTokens } = settings;
  const corpus = await readCorpus(spec.data, 'sotu');
  const tokenizer = new ByteTokenizer();
  const { train: stream, validation: held } = encodeCorpus(tokenizer, corpus);
  const longest = length * Math.max(...TEXT_FACTORS);
  const window = Math.floor(Math.min(held.length - 1, testTokens) / longest) * longest;
  if (window === 0) {
    throw new XlstmError(
      'data',
      `the held-out text has ${held.length} tokens, expected more than ${longest}`,
      'Use more text.',
    );
  }
  const sized = sizeModel(spec, tokenizer.vocabSize, settings.model);
  const model = cellModel(context, sized);
  const head = headOf(context, sized, {
    ...settings.training,
    corpus: corpus.name,
    length,
    testTokens: window,
  });
  const { batchSize } = settings.training;
  const batches = new TokenBatches(stream, {
    batchSize,
    length,
    order: 'shuffled',
    seed: spec.seed,
  });
  const { diverged, ...course } = await train(
    model,
    {
      settings: settings.training,
      seed: spec.seed,
      length,
      // Equal tokens for every model: time is no bound.
      seconds: Number.POSITIVE_INFINITY,
      nextBatch: () => batches.next(),
      chanceLoss: Math.log(tokenizer.vocabSize),
    },
    onProgress,
  );
  if (diverged) return { ...head, status: 'diverged', message: diverged, ...course };
  const text = await lossByLength(model, firstTokens(held, window + 1), length);
  return { ...head, status: 'done', ...course, text };
}

/**
 * The mean loss over all tokens of a text that is cut into sequences of 1, 2, 4, … times the training length, each read
 * without memory of the one before: the same tokens every time, with more and more before them.
 */
async function lossByLength(
  model: Model,
  stream: Int32Array,
  trained: number,
): Promise<NonNullable<CellRecord['text']>> {
  const evaluator = new Evaluator(model, { lanes: LANES, length: trained });
  const results: NonNullable<CellRecord['text']> = [];
  for (const factor of TEXT_FACTORS) {
    const { loss } = await evaluator.runBatches(sequenceBatches(stream, trained, factor));
    results.push({ factor, length: factor * trained, loss });
  }
  return results;
}

/** A text as sequences of `factor` pieces of `length` tokens, as many side by side as there are lanes. */
function* sequenceBatches(stream: Int32Array, length: number, factor: number): Generator<TrainingBatch> {
  const tokens = new Int32Array(LANES * length);
  const targets = new Int32Array(LANES * length);
  const sequences = (stream.length - 1) / (factor * length);
  for (let first = 0; first < sequences; first += LANES) {
    for (let piece = 0; piece < factor; piece++) {
      targets.fill(-1);
      for (let lane = 0; lane < LANES && first + lane < sequences; lane++) {
        const from = ((first + lane) * factor + piece) * length;
        tokens.set(stream.subarray(from, from + length), lane * length);
        targets.set(stream.subarray(from + 1, from + length + 1), lane * length);
      }
      yield { tokens, targets, continues: piece > 0 };
    }
  }
}
