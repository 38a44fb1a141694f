import { zipSync } from 'fflate';
import { inspect } from 'xlstm';
import { engine } from './engine.ts';
import { failureOf } from './failure.ts';
import { fetchFiles } from './fetch_bytes.ts';
import { tell } from './port.ts';
import { refusal } from './refusal.ts';
import { type Point, Run, type RunOptions } from './run.ts';
import type { TextSource } from './run_notes.ts';
import type { RunText } from './run_text.ts';
import { type Files, keepFiles, keptFiles } from './store.ts';

/** What the page may ask about the run. */
export interface TrainCalls {
  /** Makes a model for a text, in the place of the run before. */
  beginRun(what: NewRun): Promise<RunFacts>;
  /** Opens the files of a model, of this page or of the command line. */
  openRun(files: Files): Promise<RunFacts>;
  /** Opens what this browser keeps, if anything. */
  takeUpRun(argument: undefined): Promise<RunFacts | undefined>;
  /** The run that is open, if one is. */
  currentRun(argument: undefined): Promise<RunFacts | undefined>;
  /** Gives a model that was opened something to learn. */
  giveText(text: RunText): Promise<RunFacts>;
  /** Trains until it is paused. */
  go(learningRate: number): Promise<void>;
  /** Resolves when the step in progress is over. */
  pause(argument: undefined): Promise<RunFacts | undefined>;
  setLearningRate(rate: number): Promise<void>;
  /** Keeps a run that trains after its next step: the page may be closed soon. */
  keepSoon(argument: undefined): Promise<void>;
  /** Keeps the run in the browser. */
  keepRun(argument: undefined): Promise<number>;
  /** The files of the run, if one of a person's own is open. */
  runFiles(argument: undefined): Promise<Files | undefined>;
  /** The run as one file. */
  runFile(argument: undefined): Promise<Uint8Array<ArrayBuffer>>;
}

export interface NewRun {
  readonly text: RunText;
  readonly options: RunOptions;
  readonly learningRate: number;
}

export interface RunFacts {
  /** A letter for each block: m, s, or ? for others. */
  readonly blocks: string;
  readonly parameters: number;
  readonly stateBytes: number;
  readonly engine: string;
  readonly steps: number;
  readonly learningRate: number;
  readonly losses: readonly Point[];
  readonly heldOut: readonly Point[];
  /** What is used of which text; undefined where there is none yet. */
  readonly used: string | undefined;
  /** Where the text lies that a run that was opened has learnt so far. */
  readonly learnt: TextSource | undefined;
}

/** Of the event `progress`. */
export interface Progress {
  readonly losses: readonly Point[];
  readonly heldOut: readonly Point[];
  readonly steps: number;
  readonly tokensPerSecond: number;
}

const TELL_EVERY = 120;
const MEASURE_EVERY = 3_000;
const SAMPLE_EVERY = 6_000;
/** At most so much of a run is lost with its tab. */
const KEEP_EVERY = 15_000;
/** What is measured and written when training pauses takes no longer. */
const LAST_WORDS = 3_000;

let run: Run | undefined;
let loop: Promise<void> | undefined;
let pausing = new AbortController();
let keepSoon = false;
let keepFails = false;

/** The run that is open. Throws where none is. */
export function currentRun(): Run {
  if (run) return run;
  throw refusal('There is no model yet.', 'Train one, or open one, in the view Train.');
}

const shipped = {
  'config.json': new URL('../../models/whale/config.json', import.meta.url).href,
  'tokenizer.json': new URL('../../models/whale/tokenizer.json', import.meta.url).href,
  'model.safetensors': new URL('../../models/whale/model.safetensors', import.meta.url).href,
};
let own = false;

/** Whether the run is a person's own, not the small model that comes with the page. */
export const isOwn = (): boolean => own;

/** The run that is open, or the small model that comes with the page. */
export async function anyRun(): Promise<Run> {
  await pauseTraining();
  run ??= await Run.open(await fetchFiles(shipped));
  return run;
}

/** Stops training; resolves when the step in progress is over. */
export async function pauseTraining(): Promise<void> {
  pausing.abort();
  await loop;
}

async function replaceRun(make: () => Promise<Run>): Promise<RunFacts> {
  await pauseTraining();
  const next = await make();
  onReplaced();
  run?.free();
  run = next;
  own = true;
  keepFails = false;
  return facts(next);
}

/** Hears that what stands on the run has to go. */
let onReplaced = (): void => {};
export const whenReplaced = (listener: () => void): void => {
  const before = onReplaced;
  onReplaced = () => {
    before();
    listener();
  };
};

async function facts(of: Run): Promise<RunFacts> {
  const { design } = of.model.model;
  const seen = design && inspect(design);
  const kinds = (seen?.layers ?? []).map(({ kind }) =>
    kind.includes('mLSTM') ? 'm' : kind.includes('sLSTM') ? 's' : '',
  );
  return {
    blocks: kinds.join(''),
    parameters: seen?.parameters ?? 0,
    stateBytes: seen?.stateBytes ?? 0,
    engine: (await engine()).description,
    steps: of.steps,
    learningRate: of.learningRate,
    losses: of.losses,
    heldOut: of.heldOut,
    used: of.used,
    learnt: of.learnt,
  };
}

export const trainCalls: TrainCalls = {
  beginRun: ({ text, options, learningRate }) =>
    replaceRun(async () => {
      const next = await Run.begin(options, learningRate);
      try {
        await next.read(text);
      } catch (error) {
        next.free();
        throw error;
      }
      return next;
    }),
  openRun: (files) => replaceRun(() => Run.open(files)),
  async takeUpRun() {
    const files = await keptFiles();
    return files && replaceRun(() => Run.open(files));
  },
  currentRun: async () => (run && own ? facts(run) : undefined),
  async giveText(text) {
    await pauseTraining();
    await currentRun().read(text);
    return facts(currentRun());
  },
  async go(learningRate) {
    const current = currentRun();
    await pauseTraining();
    current.learningRate = learningRate;
    pausing = new AbortController();
    loop = train(current);
  },
  async pause() {
    await pauseTraining();
    return run && facts(run);
  },
  async setLearningRate(rate) {
    currentRun().learningRate = rate;
  },
  async keepSoon() {
    keepSoon = true;
  },
  async keepRun() {
    await pauseTraining();
    const files = await currentRun().files();
    await keepFiles(files);
    return [...files.values()].reduce((sum, { length }) => sum + length, 0);
  },
  async runFiles() {
    await pauseTraining();
    return run && own ? run.files() : undefined;
  },
  async runFile() {
    await pauseTraining();
    const files = [...(await currentRun().files())].map(([name, content]) => [placeOf(name), content]);
    return zipSync(Object.fromEntries(files), { level: 0 }) as Uint8Array<ArrayBuffer>;
  },
};

/** Where the command line looks for a file of a run. */
const placeOf = (name: string): string =>
  `xlstm-run/${['metrics.jsonl', 'text.txt'].includes(name) ? '' : 'checkpoint/'}${name}`;

/** Steps until it is told to pause; what goes wrong ends it, and is told. */
async function train(current: Run): Promise<void> {
  const last = { told: 0, measured: 0, sampled: 0, kept: performance.now() };
  let losses: Point[] = [];
  let heldOut: Point[] = [];
  let busy = 0;
  let tokens = 0;
  const due = (what: keyof typeof last, every: number): boolean => {
    const now = performance.now();
    if (now - last[what] < every) return false;
    last[what] = now;
    return true;
  };
  const report = (): void => {
    tell('progress', {
      losses,
      heldOut,
      steps: current.steps,
      tokensPerSecond: busy > 0 ? (tokens / busy) * 1000 : 0,
    });
    [losses, heldOut, busy, tokens] = [[], [], 0, 0];
  };
  const measure = async (signal: AbortSignal): Promise<void> => {
    const point = await current.measure(signal);
    if (point) heldOut.push(point);
  };
  const sample = async (signal: AbortSignal): Promise<void> =>
    tell('sample', { step: current.steps, text: await current.sample(0.7, signal) });
  try {
    const { signal } = pausing;
    while (!signal.aborted) {
      const began = performance.now();
      losses.push(await current.step());
      busy += performance.now() - began;
      tokens += current.tokensPerStep;
      if (due('measured', MEASURE_EVERY)) await measure(signal);
      if (due('sampled', SAMPLE_EVERY)) await sample(signal);
      if (keepSoon || due('kept', KEEP_EVERY)) {
        keepSoon = false;
        await keepQuietly(current);
      }
      if (due('told', TELL_EVERY)) report();
    }
    const soon = AbortSignal.timeout(LAST_WORDS);
    await measure(soon);
    await sample(soon);
    await keepQuietly(current);
  } catch (error) {
    const { message, hint } = failureOf(error);
    tell('trouble', {
      message,
      hint: hint ?? 'Take a smaller learning rate, and take up the run that was kept.',
    });
  }
  report();
  tell('paused', undefined);
}

/** A browser that keeps nothing is told of once: training goes on. */
async function keepQuietly(current: Run): Promise<void> {
  try {
    await keepFiles(await current.files());
    tell('kept', { step: current.steps });
    keepFails = false;
  } catch (error) {
    if (!keepFails) tell('trouble', failureOf(error));
    keepFails = true;
  }
}
