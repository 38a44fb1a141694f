import { contestants } from '../baselines/contestants.ts';
import { DecodingSubject } from '../bench/generate.ts';
import { median, secondsOf } from '../bench/statistics.ts';
import { randomTokens } from '../bench/subject.ts';
import { TrainingSubject } from '../bench/train.ts';
import { Model } from '../nn/model.ts';
import { type CellContext, headOf, sizeModel } from './cell.ts';
import type { CellRecord } from './records.ts';
import { costSettings } from './settings.ts';

/** Bytes, as in text. */
const VOCABULARY = 256;

/** Time and memory of training and of decoding against the length of the sequence, of a model that knows nothing. */
export async function runCost(context: CellContext): Promise<CellRecord> {
  const { spec, engine, onProgress } = context;
  const settings = costSettings(spec.quick);
  const { lengths, tokensPerStep, decodedTokens, repeats } = settings;
  const sized = sizeModel(spec, VOCABULARY, {});
  /** The window of attention is the length itself. */
  const modelFor = (contextLength: number): Model =>
    Model.create(
      engine,
      (scope) => contestants[spec.model].build(scope, { ...sized.config, contextLength }),
      spec.seed,
    );
  const cost: NonNullable<CellRecord['cost']> = [];
  const begin = performance.now();
  let done = 0;
  const progress = (score?: number): void =>
    onProgress({ fraction: ++done / (2 * lengths.length + 1), loss: Number.NaN, score });

  for (const length of lengths) {
    const batch = Math.max(1, Math.floor(tokensPerStep / length));
    const subject = new TrainingSubject(modelFor(length), batch, length);
    await subject.steps(1);
    const seconds: number[] = [];
    for (let i = 0; i < repeats; i++) seconds.push(await secondsOf(() => subject.steps(1)));
    cost.push({
      length,
      trainMsPerToken: (1000 * median(seconds)) / (batch * length),
      decodeMsPerToken: null,
      stateBytes: 0,
      programBytes: Math.round(subject.trainer.programBytes / batch),
    });
    progress();
  }

  const decoding: { subject: DecodingSubject; context: ArrayLike<number> }[] = [];
  for (const [i, length] of lengths.entries()) {
    const subject = new DecodingSubject(modelFor(length));
    // What is decoded must fit in the window behind what was read.
    await subject.read(randomTokens(VOCABULARY, length - decodedTokens));
    decoding.push({ subject, context: await subject.save() });
    cost[i].stateBytes = subject.stateBytes;
    progress();
  }
  // The lengths take turns, so that what else the machine does meets all of them.
  const decodeSeconds = await takingTurns(repeats, decoding, async ({ subject, context: before }) => {
    subject.restore(before);
    return secondsOf(() => subject.decode(decodedTokens));
  });
  decodeSeconds.forEach((seconds, i) => {
    cost[i].decodeMsPerToken = (1000 * median(seconds)) / decodedTokens;
  });
  progress(cost[cost.length - 1].decodeMsPerToken ?? undefined);
  return {
    ...headOf(context, sized, { ...settings }),
    status: 'done',
    steps: lengths.length * (repeats + 1),
    tokens: 0,
    trainSeconds: (performance.now() - begin) / 1000,
    curve: [],
    cost,
  };
}

/** The seconds that each subject's runs took, after one that does not count. */
async function takingTurns<T>(
  repeats: number,
  subjects: readonly T[],
  run: (subject: T) => Promise<number>,
): Promise<number[][]> {
  for (const subject of subjects) await run(subject);
  const seconds: number[][] = subjects.map(() => []);
  for (let repeat = 0; repeat < repeats; repeat++) {
    for (const [i, subject] of subjects.entries()) seconds[i].push(await run(subject));
  }
  return seconds;
}
