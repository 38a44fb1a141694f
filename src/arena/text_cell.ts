import { TokenBatches } from '../data/batches.ts';
import { type Corpus, holdOutTenth, readTexts, sotu } from '../data/text.ts';
import { ByteTokenizer, encodeDocuments } from '../data/tokenizer.ts';
import { XlstmError } from '../errors.ts';
import type { Model } from '../nn/model.ts';
import { evaluationProgram, stateRegion } from '../nn/programs.ts';
import { type CellContext, createModel, headOf, overridden, sizeModel } from './cell.ts';
import type { CellRecord } from './records.ts';
import { TEXT_FACTORS, textSettings } from './settings.ts';
import { train } from './training.ts';

const LANES = 16;

/** Language modelling on bytes: as many tokens for every model, then the loss over longer and longer sequences. */
export async function runText(context: CellContext): Promise<CellRecord> {
  const { spec, onProgress } = context;
  const settings = overridden(textSettings(spec.model, spec.quick), spec);
  const { length, testTokens } = settings;
  const corpus = await readCorpus(spec.data);
  const tokenizer = new ByteTokenizer();
  const encode = (part: Corpus['train']): Int32Array =>
    encodeDocuments(
      tokenizer,
      part.map(({ text }) => text),
    );
  const held = encode(corpus.validation);
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
  const model = createModel(context, sized);
  const head = headOf(context, sized, {
    ...settings.training,
    corpus: corpus.name,
    length,
    testTokens: window,
  });
  const { batchSize } = settings.training;
  const batches = new TokenBatches(encode(corpus.train), {
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
  const text = await lossByLength(model, held.subarray(0, window + 1), length);
  return { ...head, status: 'done', ...course, text };
}

const readCorpus = async (data: readonly string[] | undefined): Promise<Corpus> =>
  data ? holdOutTenth(data.join(', '), await readTexts(data)) : sotu();

/**
 * The mean loss over all tokens of a text that is cut into sequences of 1, 2, 4, … times the training length, each read
 * without memory of the one before: the same tokens every time, with more and more before them.
 */
async function lossByLength(
  model: Model,
  stream: Int32Array,
  trained: number,
): Promise<NonNullable<CellRecord['text']>> {
  const state = model.engine.allocate(stateRegion(model.network, LANES));
  const program = evaluationProgram(model.network, state.region, LANES, trained);
  const executable = model.engine.bind(program, [...model.memories, state]);
  const { io } = executable;
  const tokens = new Float32Array(LANES * trained);
  const targets = new Float32Array(LANES * trained);
  const results: NonNullable<CellRecord['text']> = [];
  for (const factor of TEXT_FACTORS) {
    const length = factor * trained;
    const sequences = (stream.length - 1) / length;
    let sum = 0;
    for (let first = 0; first < sequences; first += LANES) {
      state.clear();
      for (let piece = 0; piece < factor; piece++) {
        targets.fill(-1);
        for (let lane = 0; lane < LANES && first + lane < sequences; lane++) {
          const from = (first + lane) * length + piece * trained;
          tokens.set(stream.subarray(from, from + trained), lane * trained);
          targets.set(stream.subarray(from + 1, from + trained + 1), lane * trained);
        }
        io.write('tokens', tokens);
        io.write('targets', targets);
        await executable.run();
        for (const loss of await io.read('loss')) sum += loss;
      }
    }
    results.push({ factor, length, loss: sum / (stream.length - 1) });
  }
  return results;
}
