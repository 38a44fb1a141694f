import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { appendFile, mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadCheckpoint } from '../checkpoints/checkpoint_folder.ts';
import { createReferenceEngine } from '../compute/engines/reference/engine.ts';
import { encodeCorpus, readCorpus } from '../data/corpus.ts';
import { ByteTokenizer } from '../data/tokenizer.ts';
import { createModel } from '../models/create_model.ts';
import { languageModelConfig } from '../models/xlstm/config.ts';
import { readMetrics } from './metrics_file.ts';
import { resumeTraining } from './resume.ts';
import { dataSource } from './run_data.ts';
import type { RunOptions } from './run_options.ts';
import { type RunControl, type RunResult, runTraining } from './train_run.ts';

const engine = createReferenceEngine();
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

async function train(options: Partial<RunOptions>, control: RunControl = {}): Promise<RunResult> {
  const model = createModel(engine, config, { seed: 1 });
  return runTraining({
    ...encodeCorpus(tokenizer, await readCorpus([text], '')),
    ...{ model, tokenizer, folder, source: { ...dataSource([text], '') } },
    options: {
      ...{ steps: 8, batchSize: 1, length: 4, microBatches: 1, learningRate: 0.01, warmupSteps: 0 },
      ...{ finalFraction: 1, optimizer: ADAMW, clipNorm: 1 },
      ...{ order: 'contiguous', seed: 1, evaluateEvery: 100, checkpointEvery: 2, ...options },
    },
    ...control,
  });
}

/** Trains a few steps of more, as if it had been stopped. */
async function stopped(): Promise<void> {
  const stop = new AbortController();
  await train({ steps: 6 }, { signal: stop.signal, onStep: ({ step }) => step === 3 && stop.abort() });
}

const step = async (): Promise<number> =>
  JSON.parse(await readFile(join(folder, 'checkpoint', 'training.json'), 'utf8')).step;
const steps = (): number[] => readMetrics(join(folder, 'metrics.jsonl')).map((record) => record.step);

describe('saves that fail', () => {
  const blocked = (): string => join(folder, 'checkpoint');

  /** Puts a file where the checkpoint is to be, so that no save succeeds; at once, since no step waits for `onStep`. */
  function block(): void {
    renameSync(blocked(), `${blocked()}-away`);
    writeFileSync(blocked(), 'in the way');
  }

  it('are told and tried again; training goes on and ends well', async () => {
    const warnings: string[] = [];
    const onStep = ({ step }: { step: number }): void => {
      if (step === 1) block();
      if (step === 4) rmSync(blocked());
    };
    await train({}, { onStep, onWarning: (message) => warnings.push(message) });
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toMatch(
      /checkpoint: expected a folder or nothing.*training goes on, .* after 2 steps/,
    );
    expect(await step()).toBe(8);
    expect(steps()).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  });

  it('end the run with an error where the last one fails', async () => {
    const onStep = ({ step }: { step: number }): void => {
      if (step === 5) block();
    };
    await expect(train({}, { onStep })).rejects.toThrow(/checkpoint: expected a folder or nothing/);
    expect(existsSync(join(folder, 'lock'))).toBe(false);
  });

  it('leave nothing in the way where the first one fails', async () => {
    await writeFile(join(place, 'file'), '');
    folder = join(place, 'file', 'run');
    await expect(train({})).rejects.toThrow(/run.*cannot be/);
    folder = join(place, 'run');
    await train({ steps: 1 });
    expect(await step()).toBe(1);
  });

  it('do not come from foreign files beside the checkpoint, which stay', async () => {
    const onStep = ({ step }: { step: number }): void => {
      if (step !== 1) return;
      writeFileSync(join(blocked(), '.DS_Store'), 'x');
      mkdirSync(join(blocked(), 'plots'));
    };
    const warnings: string[] = [];
    await train({}, { onStep, onWarning: (message) => warnings.push(message) });
    expect(warnings).toEqual([]);
    expect(await readdir(blocked())).toEqual(
      expect.arrayContaining(['.DS_Store', 'plots', 'model.safetensors']),
    );
    expect((await readdir(folder)).sort()).toEqual(['best', 'checkpoint', 'metrics.jsonl']);
  });
});

describe('shuffled windows', () => {
  it('in the order of an earlier version are refused, with what to do', async () => {
    const stop = new AbortController();
    const onStep = ({ step }: { step: number }): void => {
      if (step === 3) stop.abort();
    };
    await train({ order: 'shuffled' }, { signal: stop.signal, onStep });
    const file = join(folder, 'checkpoint', 'training.json');
    const written = await readFile(file, 'utf8');
    const { windowOrder, ...earlier } = JSON.parse(written);
    await writeFile(file, JSON.stringify(earlier));
    await expect(resumeTraining(engine, folder)).rejects.toThrow(
      expect.objectContaining({
        code: 'checkpoint',
        message: expect.stringContaining(`the order of earlier versions, expected ${windowOrder}`),
        hint: expect.stringContaining(`--init ${folder}`),
      }),
    );
    await writeFile(file, written);
    await resumeTraining(engine, folder);
    expect(await step()).toBe(8);
  });
});

describe('folders', () => {
  it('in which a run never began are taken', async () => {
    await mkdir(join(folder, 'checkpoint.tmp-1-0123abcd'), { recursive: true });
    await writeFile(join(folder, 'metrics.jsonl'), '');
    await train({ steps: 1 });
    expect(await step()).toBe(1);
  });

  it('that a run is being written in are refused, to a new one and to one that goes on', async () => {
    const refused: Promise<unknown>[] = [];
    await train(
      { steps: 3 },
      {
        onStep: ({ step }) => {
          if (step === 1) refused.push(resumeTraining(engine, folder).catch((error: Error) => error.message));
        },
      },
    );
    expect(await Promise.all(refused)).toEqual([expect.stringMatching(/is being written by process \d+/)]);
    await expect(train({})).rejects.toThrow(/already holds a run/);
  });
});

describe('resume', () => {
  it.each([
    ['zero bytes', '\0'.repeat(4096)],
    ['an empty line', '\n'],
    ['empty lines', '\n \n\n'],
    ['a cut line', '{"step":4,"lo'],
    ['a cut line and zero bytes', `{"step":4,"lo${'\0'.repeat(100)}`],
    ['zero bytes and lines', `\0\0\0\n{"step":4,"loss":1}\n`],
  ])('goes on where metrics end in %s', async (_, tail) => {
    await stopped();
    await appendFile(join(folder, 'metrics.jsonl'), tail);
    expect((await resumeTraining(engine, folder)).steps).toBe(6);
    expect(steps()).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it('finds the checkpoint that a crash left under another name', async () => {
    await stopped();
    await rename(join(folder, 'checkpoint'), join(folder, 'checkpoint.old-999999999-0123abcd'));
    expect((await loadCheckpoint(engine, folder)).model.design?.config).toEqual(config);
    expect(existsSync(join(folder, 'checkpoint'))).toBe(false);
    await resumeTraining(engine, folder);
    expect((await readdir(folder)).sort()).toEqual(['best', 'checkpoint', 'metrics.jsonl']);
  });

  it('refuses other texts, and takes them where that is asked for', async () => {
    await stopped();
    const original = await readFile(text, 'utf8');
    await writeFile(text, original.replace('white', 'black'));
    await expect(resumeTraining(engine, folder)).rejects.toThrow(
      /text\.txt: not the texts of this run: \d+ tokens as before/,
    );
    await writeFile(text, `${original}more`);
    const error = await resumeTraining(engine, folder).catch((e) => e);
    expect(error.message).toMatch(/\d+ tokens, the run was started with \d+/);
    expect(error.hint).toContain('--accept-new-data');
    await rm(text);
    await expect(resumeTraining(engine, folder)).rejects.toThrow(/no such file/);
    const moved = join(place, 'moved.txt');
    await writeFile(moved, 'Something else altogether, and long enough. '.repeat(9));
    await expect(resumeTraining(engine, folder, { data: [moved] })).rejects.toThrow(/not the texts/);
    const warnings: string[] = [];
    const onWarning = (message: string): number => warnings.push(message);
    await resumeTraining(engine, folder, { data: [moved], acceptNewData: true, onWarning });
    expect(warnings).toEqual([expect.stringMatching(/the texts are new/)]);
  });

  it('takes the same text from another place, and remembers it', async () => {
    await stopped();
    const moved = join(place, 'moved.txt');
    await rename(text, moved);
    await resumeTraining(engine, folder, { data: [moved] });
    const { source } = JSON.parse(await readFile(join(folder, 'checkpoint', 'training.json'), 'utf8'));
    expect(source).toEqual({ data: [moved], corpus: '' });
  });

  const change = async (edit: (progress: Record<string, unknown>) => unknown): Promise<void> => {
    const path = join(folder, 'checkpoint', 'training.json');
    const edited = edit(JSON.parse(await readFile(path, 'utf8')));
    await writeFile(path, typeof edited === 'string' ? edited : JSON.stringify(edited));
  };

  it('goes on from checkpoints that say nothing of their data, and says so', async () => {
    await stopped();
    await change(({ data: _, ...progress }) => progress);
    const warnings: string[] = [];
    await resumeTraining(engine, folder, { onWarning: (message) => warnings.push(message) });
    expect(warnings).toEqual([expect.stringMatching(/whether the texts are those of before is not known/)]);
  });

  it.each<[string, (progress: Record<string, unknown>) => unknown, RegExp]>([
    ['null', () => null, /training\.json: expected Object, found null/],
    ['no object', () => [], /training\.json: /],
    ['no JSON', () => '{"step"', /training\.json: expected JSON/],
    ['no step', ({ step: _, ...rest }) => rest, /step: .*found nothing|training\.json/],
    ['a step that is a text', (p) => ({ ...p, step: '3' }), /step: expected number, found "3"/],
    ['a step below 0', (p) => ({ ...p, step: -1 }), /step: expected >=0, found -1/],
    ['options that are null', (p) => ({ ...p, options: null }), /options: expected Object, found null/],
    [
      'a huge batch',
      (p) => ({ ...p, options: { ...(p.options as object), batchSize: 2 ** 53 - 1 } }),
      /batchSize/,
    ],
    ['an order that is none', (p) => ({ ...p, options: { ...(p.options as object), order: 'x' } }), /order/],
    ['no position', (p) => ({ ...p, position: {} }), /position\.epoch/],
    [
      'a position beyond the text',
      (p) => ({ ...p, position: { epoch: 0, batch: 1e6 } }),
      /expected a position/,
    ],
    ['a source that is a text', (p) => ({ ...p, source: 'x' }), /source/],
    ['paths that are numbers', (p) => ({ ...p, source: { data: [1], corpus: 'x' } }), /where its texts are/],
    [
      'standard input',
      (p) => ({ ...p, source: { data: ['-'], corpus: 'x' } }),
      /standard input, which is gone/,
    ],
  ])('says what is wrong with a training.json: %s', async (_, edit, expected) => {
    await stopped();
    await change(edit);
    const error = await resumeTraining(engine, folder).catch((e) => e);
    expect(error).toMatchObject({ name: 'XlstmError', message: expect.stringMatching(expected) });
    expect(existsSync(join(folder, 'lock'))).toBe(false);
  });

  it.each(['tokenizer.json', 'training.json', 'optimizer.safetensors'])(
    'says that %s is missing',
    async (name) => {
      await stopped();
      await rm(join(folder, 'checkpoint', name));
      await expect(resumeTraining(engine, folder)).rejects.toThrow(`but no ${name}`);
      const { model, tokenizer } = await loadCheckpoint(engine, folder);
      expect(model.parameters.count).toBeGreaterThan(0);
      expect(tokenizer === undefined).toBe(name === 'tokenizer.json');
    },
  );
});
