import { existsSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadTextModel } from '../checkpoints/checkpoint_folder.ts';
import { chooseEngine } from '../compute/engines/choose.ts';
import { encodeCorpus, type HeldOut, readCorpus } from '../data/corpus.ts';
import { ByteTokenizer } from '../data/tokenizer.ts';
import { createModel } from '../models/create_model.ts';
import { languageModelConfig } from '../models/xlstm/config.ts';
import { Evaluator } from './evaluate.ts';
import { readMetrics } from './metrics_file.ts';
import { resumeTraining } from './resume.ts';
import { dataSource } from './run_data.ts';
import type { RunOptions } from './run_options.ts';
import { type RunControl, type RunResult, runTraining } from './train_run.ts';

/** Of float32, as files are: what is loaded is what was saved, to the bit. */
const { engine } = await chooseEngine('wasm', { threads: 1 });
const tokenizer = new ByteTokenizer();
const config = languageModelConfig({ vocabSize: 256, embeddingDim: 4, numHeads: 1, numBlocks: 1 });

let place: string;
let folder: string;
let text: string;
beforeEach(async () => {
  place = await mkdtemp(join(tmpdir(), 'xlstm-run-'));
  folder = join(place, 'run');
  text = join(place, 'text.txt');
  await writeFile(text, 'The white whale swims in the wide sea.\n'.repeat(20));
});
afterEach(() => rm(place, { recursive: true }));

const ADAMW = { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0.1 };
const LENGTH = 4;

async function train(
  options: Partial<RunOptions>,
  control: RunControl = {},
  heldOut: HeldOut = {},
): Promise<RunResult> {
  const model = createModel(engine, config, { seed: 1 });
  return runTraining({
    ...encodeCorpus(tokenizer, await readCorpus([text], '', heldOut)),
    ...{ model, tokenizer, folder, source: { ...dataSource([text], '', heldOut) } },
    options: {
      ...{ steps: 8, batchSize: 1, length: LENGTH, microBatches: 1, learningRate: 0.01, warmupSteps: 0 },
      ...{ finalFraction: 1, optimizer: ADAMW, clipNorm: 1 },
      ...{ order: 'contiguous', seed: 1, evaluateEvery: 1, checkpointEvery: 2, ...options },
    },
    ...control,
  });
}

const at = (...names: string[]): string => join(folder, ...names);
const json = async (...names: string[]): Promise<Record<string, unknown>> =>
  JSON.parse(await readFile(at(...names), 'utf8'));
const measured = (): { step: number; validationLoss: number }[] =>
  readMetrics(at('metrics.jsonl')).flatMap(({ step, validationLoss }) =>
    typeof validationLoss === 'number' ? [{ step, validationLoss }] : [],
  );
const least = (): { step: number; validationLoss: number } =>
  measured().reduce((best, one) => (one.validationLoss < best.validationLoss ? one : best));

/** What the end of the text costs the model of a folder, measured as a run does. */
async function lossOf(path: string, tokens?: number): Promise<number> {
  const { model } = await loadTextModel(engine, path);
  const { validation } = encodeCorpus(tokenizer, await readCorpus([text], ''));
  return (await new Evaluator(model, { lanes: 16, length: LENGTH }).run(validation, { tokens })).loss;
}

/** Stops after a step; the learning rate is so high that the loss goes up and down. */
const wild = { learningRate: 2, steps: 11 };
const stopAt = (at: number): RunControl => {
  const stop = new AbortController();
  return { signal: stop.signal, onStep: ({ step }) => step === at && stop.abort() };
};

/** At once: a step does not wait for what is asynchronous. */
function putFileInItsPlace(): void {
  renameSync(at('best'), at('away'));
  writeFileSync(at('best'), 'x');
}

describe('the best model', () => {
  it('is that of the least validation loss, beside the last one', async () => {
    const { best, validationLoss } = await train(wild);
    expect(best).toEqual(least());
    // Otherwise nothing is shown: the best is not the last.
    expect(best?.validationLoss).toBeLessThan(validationLoss ?? 0);
    expect(await json('best', 'measured.json')).toMatchObject(least());
    expect(await lossOf(at('best'))).toBe(least().validationLoss);
    expect(await lossOf(folder)).toBe(validationLoss);
    expect((await readdir(at('best'))).sort()).toEqual(
      ['config.json', 'measured.json', 'model.safetensors', 'tokenizer.json'].sort(),
    );
  });

  it.each([1, 4, 7, 10])('survives a stop after step %i and going on, to the byte', async (step) => {
    await train(wild);
    const whole = await readFile(at('best', 'model.safetensors'));
    const said = await json('best', 'measured.json');
    folder = join(place, 'stopped');
    await train(wild, stopAt(step));
    const { best } = await resumeTraining(engine, folder);
    expect(best).toEqual(least());
    expect((await readFile(at('best', 'model.safetensors'))).equals(whole)).toBe(true);
    expect(await json('best', 'measured.json')).toEqual(said);
  });

  it('that cannot be written is told and tried again', async () => {
    const warnings: string[] = [];
    const onStep = ({ step }: { step: number }): void => {
      if (step === 1) putFileInItsPlace();
      if (step === 6) rmSync(at('best'));
    };
    const { best } = await train({}, { onStep, onWarning: (message) => warnings.push(message) });
    expect(warnings).toEqual([
      expect.stringMatching(/best: expected a folder or nothing.*training goes on, the best model is tried/),
    ]);
    expect(best).toEqual(least());
    expect(await lossOf(at('best'))).toBe(least().validationLoss);
  });

  it('that cannot be written at the end either is the error; the last checkpoint is there', async () => {
    const onStep = ({ step }: { step: number }): void => {
      if (step === 1) putFileInItsPlace();
    };
    await expect(train({}, { onStep })).rejects.toThrow(/best: expected a folder or nothing/);
    expect(await json('checkpoint', 'training.json')).toMatchObject({ step: 8 });
  });

  it('is found where a crash left it, and what crashes leave is cleared', async () => {
    await train(wild, stopAt(10));
    const kept = await json('best', 'measured.json');
    await rename(at('best'), at('best.old-999999999-0123abcd'));
    await mkdir(at('best.tmp-999999999-0123abce'));
    await resumeTraining(engine, folder);
    expect((await readdir(folder)).sort()).toEqual(['best', 'checkpoint', 'metrics.jsonl']);
    expect(await json('best', 'measured.json')).toEqual(kept);
  });

  it('is found anew on other texts, on which losses cannot be compared', async () => {
    await train({}, stopAt(5));
    const damaged = { ...(await json('best', 'measured.json')), validationLoss: 0.001 };
    await writeFile(at('best', 'measured.json'), JSON.stringify(damaged));
    const other = join(place, 'other.txt');
    await writeFile(other, 'Something else altogether, and long enough. '.repeat(9));
    const { best } = await resumeTraining(engine, folder, { data: [other], acceptNewData: true });
    expect(best?.validationLoss).toBeGreaterThan(1);
    expect(await json('best', 'measured.json')).toMatchObject(best ?? {});
  });

  it.each(['{"step":', '[]', '{"step": 3}'])(
    'whose measurement cannot be read is one error: %s',
    async (content) => {
      await train({}, stopAt(3));
      await writeFile(at('best', 'measured.json'), content);
      const error = await resumeTraining(engine, folder).catch((e) => e);
      expect(error).toMatchObject({ code: 'checkpoint', message: expect.stringContaining('measured.json') });
      expect(existsSync(at('lock'))).toBe(false);
    },
  );

  it('is no link, whose place nothing can take', async () => {
    await train({}, stopAt(3));
    await rename(at('best'), join(place, 'elsewhere'));
    await symlink(join(place, 'elsewhere'), at('best'));
    await expect(resumeTraining(engine, folder)).rejects.toThrow(/best: expected a folder, found a link/);
  });
});

describe('what is measured', () => {
  it('is windows of what is held out, where that is asked for', async () => {
    const { validationLoss } = await train({ steps: 2, evaluationTokens: 20 });
    expect(validationLoss).toBe(await lossOf(folder, 20));
    expect(validationLoss).not.toBe(await lossOf(folder));
  });

  it('is nothing with 0 tokens, and such a run ends as others do', async () => {
    const result = await train({ steps: 2, evaluationTokens: 0 }, {}, { validationShare: 0 });
    expect(result).toMatchObject({
      steps: 2,
      interrupted: false,
      validationLoss: undefined,
      best: undefined,
    });
    expect(measured()).toEqual([]);
    expect((await readdir(folder)).sort()).toEqual(['checkpoint', 'metrics.jsonl']);
  });

  it('is refused where it is too short', async () => {
    await expect(train({ evaluationTokens: 1 })).rejects.toThrow(/expected at least 2 tokens, found 1/);
    await expect(train({}, {}, { validationShare: 0 })).rejects.toThrow(/at least 2 tokens, found 0/);
    expect(existsSync(folder)).toBe(false);
  });

  it('are texts of their own, from wherever they are when the run goes on', async () => {
    const validation = join(place, 'held.txt');
    await writeFile(validation, 'A white sea. '.repeat(9));
    await train({ steps: 6 }, stopAt(3), { validation: [validation] });
    const moved = join(place, 'moved.txt');
    await rename(validation, moved);
    await expect(resumeTraining(engine, folder)).rejects.toThrow(/held\.txt: there is no such file/);
    await expect(resumeTraining(engine, folder, { validation: [text] })).rejects.toThrow(/not the texts of/);
    await resumeTraining(engine, folder, { validation: [moved] });
    expect(await json('checkpoint', 'training.json')).toMatchObject({
      step: 6,
      source: { data: [text], validation: [moved] },
    });
  });

  it('is the share that the run was begun with', async () => {
    await train({ steps: 6 }, stopAt(3), { validationShare: 0.4 });
    expect((await resumeTraining(engine, folder)).steps).toBe(6);
    await expect(resumeTraining(engine, folder, { steps: 7, validation: [text] })).rejects.toThrow(
      /--validation: .* holds out a part of its own texts/,
    );
  });
});

describe('more steps', () => {
  const planned = { steps: 6, warmupSteps: 2, finalFraction: 0.1 };
  const rates = (): unknown[] => readMetrics(at('metrics.jsonl')).map(({ learningRate }) => learningRate);

  it('go on with a run that is complete: the rate moves onto the cosine of the longer run', async () => {
    await train(planned);
    await expect(resumeTraining(engine, folder)).rejects.toThrow(/complete \(6 of 6 steps\)/);
    const before = rates();
    const { steps, interrupted } = await resumeTraining(engine, folder, { steps: 12 });
    expect([steps, interrupted]).toEqual([12, false]);
    const cosine = (step: number): number =>
      0.001 + 0.009 * 0.5 * (1 + Math.cos((Math.PI * (step - 2)) / (12 - 2)));
    const found = rates();
    expect(found.slice(0, 6)).toEqual(before);
    expect(found[5]).toBeCloseTo(0.001, 12);
    expect(found[6]).toBeCloseTo((0.001 + cosine(7)) / 2, 12);
    for (let step = 8; step <= 12; step++) expect(found[step - 1]).toBeCloseTo(cosine(step), 12);
  });

  it('are kept from the first moment on, and computed to the bit with breaks', async () => {
    await train(planned);
    await resumeTraining(engine, folder, { steps: 12 });
    const whole = await readFile(at('checkpoint', 'model.safetensors'));
    folder = join(place, 'broken');
    await train(planned);
    const never = AbortSignal.abort();
    expect(await resumeTraining(engine, folder, { steps: 12, signal: never })).toMatchObject({
      steps: 6,
      interrupted: true,
    });
    await resumeTraining(engine, folder, stopAt(7));
    await resumeTraining(engine, folder, stopAt(9));
    expect((await resumeTraining(engine, folder)).steps).toBe(12);
    expect((await readFile(at('checkpoint', 'model.safetensors'))).equals(whole)).toBe(true);
  });

  it('go on with a run that was stopped', async () => {
    await train(planned, stopAt(4));
    expect((await resumeTraining(engine, folder, { steps: 9 })).steps).toBe(9);
    expect(rates()).toHaveLength(9);
  });

  it.each([6, 3, 0, 7.5])('are refused where they are not more, or none: %d', async (steps) => {
    await train(planned, stopAt(4));
    await expect(resumeTraining(engine, folder, { steps })).rejects.toMatchObject({
      code: 'usage',
      message: expect.stringMatching(/expected more, found|steps: expected a whole number/),
    });
    expect(await json('checkpoint', 'training.json')).toMatchObject({ step: 4, options: { steps: 6 } });
    expect(existsSync(at('lock'))).toBe(false);
  });
});
