import { createModel, Evaluator, type Model, Trainer } from 'xlstm';
import { type Contest, type ContestName, contest, contestants } from './contests.ts';
import { engine } from './engine.ts';
import { failureOf } from './failure.ts';
import { tell } from './port.ts';
import { pauseTraining } from './train.ts';

/** What the page may ask of models side by side. */
export interface QuestionCalls {
  /** Begins anew: three models learn the same batches, and tell of it as events `race`, until they are stopped. */
  beginRace(question: { readonly task: ContestName; readonly text: string }): Promise<RaceFacts>;
  stopRace(argument: undefined): Promise<void>;
  /** What reading a token costs each of them in sequences of some lengths; told as events `cost`. */
  measureCosts(argument: undefined): Promise<readonly Costs[]>;
}

export interface RaceFacts {
  readonly guessing: number;
  readonly racers: readonly { readonly name: string; readonly parameters: number }[];
}

/** Of the event `race`: the losses of a step, and sometimes those on new sequences of twice the length. */
export interface RaceStep {
  readonly step: number;
  readonly losses: readonly number[];
  readonly longer: readonly number[] | undefined;
  readonly milliseconds: readonly number[];
}

export interface Costs {
  readonly name: string;
  readonly lengths: readonly number[];
  /** Microseconds of a token. */
  readonly costs: readonly number[];
}

const BATCH = 16;
const LENGTH = 32;
const RATE = 4e-3;
const MEASURE_EVERY = 25;
const MOST_STEPS = 3000;
const LENGTHS = [32, 64, 128, 256, 512, 1024];
const LEAST_TIME = 60;
const LEAST_ROUNDS = 6;
const REPEATS = 3;

interface Racer {
  readonly name: string;
  readonly model: Model;
  readonly trainer: Trainer;
  readonly evaluator: Evaluator;
}

let racers: readonly Racer[] = [];
let race: Promise<void> | undefined;
let ending = false;

async function stop(): Promise<void> {
  ending = true;
  await race;
}

async function close(): Promise<void> {
  await stop();
  for (const { model, trainer, evaluator } of racers) {
    trainer.free();
    evaluator.free();
    model.free();
  }
  racers = [];
}

async function make(vocabSize: number): Promise<void> {
  const chosen = await engine();
  racers = contestants(vocabSize).map(({ name, config }) => {
    const model = createModel(chosen, config, { seed: 1 }) as Model;
    return {
      name,
      model,
      trainer: new Trainer(model, { batchSize: BATCH, length: LENGTH, optimizer: { weightDecay: 0.01 } }),
      evaluator: new Evaluator(model, { lanes: BATCH, length: 2 * LENGTH, carryState: false }),
    };
  });
}

export const questionCalls: QuestionCalls = {
  async beginRace({ task, text }) {
    await pauseTraining();
    await close();
    const asked = contest(task, text, 1);
    asked.batch(BATCH, LENGTH);
    await make(asked.vocabSize);
    ending = false;
    race = run(asked, contest(task, text, 2));
    return {
      guessing: asked.guessing,
      racers: racers.map(({ name, model }) => ({ name, parameters: model.parameters.count })),
    };
  },
  stopRace: stop,
  async measureCosts() {
    await stop();
    if (racers.length === 0) await make(2);
    ending = false;
    const found: Costs[] = [];
    for (const { name, model } of racers) {
      const costs: number[] = [];
      for (const length of LENGTHS) {
        const cost = await costOf(model, length);
        if (ending) break;
        costs.push(cost);
      }
      found.push({ name, lengths: LENGTHS, costs });
      tell('cost', found);
      if (ending) break;
    }
    return found;
  },
};

async function run(asked: Contest, other: Contest): Promise<void> {
  try {
    for (let step = 1; step <= MOST_STEPS && !ending; step++) {
      const batch = asked.batch(BATCH, LENGTH);
      const rate = RATE * Math.min(1, step / 20);
      const losses: number[] = [];
      const milliseconds: number[] = [];
      for (const { trainer } of racers) {
        const began = performance.now();
        losses.push((await trainer.step(batch, rate)).loss);
        milliseconds.push(performance.now() - began);
      }
      let longer: number[] | undefined;
      if (step % MEASURE_EVERY === 0) {
        const test = other.batch(BATCH, 2 * LENGTH);
        longer = [];
        for (const { evaluator } of racers) longer.push((await evaluator.runBatches([test])).loss);
      }
      tell('race', { step, losses, longer, milliseconds } satisfies RaceStep);
    }
  } catch (error) {
    const { message, hint } = failureOf(error);
    tell('trouble', { message, hint: hint ?? 'Begin anew.' });
  }
  tell('raceOver', undefined);
}

/** Microseconds of a token, in a sequence that is read as a whole. */
async function costOf(model: Model, length: number): Promise<number> {
  using evaluator = new Evaluator(model, { lanes: 1, length, carryState: false });
  const tokens = new Int32Array(length);
  const batch = { tokens, targets: tokens };
  await evaluator.runBatches([batch]);
  // The least of several: whatever else the machine does takes time too.
  let least = Number.POSITIVE_INFINITY;
  const end = performance.now() + LEAST_TIME;
  for (let round = 0; (round < LEAST_ROUNDS || performance.now() < end) && !ending; round++) {
    const began = performance.now();
    for (let i = 0; i < REPEATS; i++) await evaluator.runBatches([batch]);
    least = Math.min(least, performance.now() - began);
  }
  return (least * 1000) / (REPEATS * length);
}
