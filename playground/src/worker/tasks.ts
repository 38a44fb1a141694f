import { createModel, type Model, Trainer } from 'xlstm';
import { type Contest, contest, contestants, type TaskName } from './contests.ts';
import { engine } from './engine.ts';
import { tell } from './port.ts';
import { pauseTraining } from './train.ts';

/** What the page may ask about models that learn a task to be looked into. */
export interface TaskCalls {
  /** Trains the model of a task on until it knows it, it has had enough steps, or is told to stop; tells of it as `learning`. */
  learnTask(task: TaskName): Promise<void>;
  stopLearning(argument: undefined): Promise<void>;
}

/** Of the event `learning`. */
export interface Learnt {
  readonly steps: number;
  /** Of the last steps; undefined before the first. */
  readonly loss: number | undefined;
  /** Of one that guesses. */
  readonly guessing: number;
}

/** The xLSTM of a task, and how far it is. */
export interface Learner extends Learnt {
  readonly model: Model;
}

interface Working extends Contest {
  readonly model: Model;
  readonly trainer: Trainer;
  loss: number | undefined;
}

/** Tokens of a sequence. */
export const TASK_LENGTH = 16;
const BATCH = 16;
const RATE = 4e-3;
const WARM_UP = 20;
const MOST_STEPS = 500;
/** Part of the loss of guessing below which a task is learnt. */
const KNOWN = 0.05;
const TELL_EVERY = 150;

const learners = new Map<TaskName, Working>();
let learning: Promise<void> | undefined;
let ending = false;

async function working(task: TaskName): Promise<Working> {
  const found = learners.get(task);
  if (found) return found;
  const asked = contest(task, '', 1);
  const [{ config }] = contestants(asked.vocabSize);
  const model = createModel(await engine(), config, { seed: 1 }) as Model;
  const options = { batchSize: BATCH, length: TASK_LENGTH, optimizer: { weightDecay: 0.01 } };
  const made = { ...asked, model, trainer: new Trainer(model, options), loss: undefined };
  learners.set(task, made);
  return made;
}

const learnt = ({ trainer, loss, guessing }: Working): Learnt => ({ steps: trainer.steps, loss, guessing });

/** The model of a task as it is, once it does not change. */
export async function learner(task: TaskName): Promise<Learner> {
  await taskCalls.stopLearning(undefined);
  const found = await working(task);
  return { model: found.model, ...learnt(found) };
}

export const taskCalls: TaskCalls = {
  async learnTask(task) {
    await pauseTraining();
    await taskCalls.stopLearning(undefined);
    const found = await working(task);
    ending = false;
    learning = learn(found);
    await learning;
  },
  async stopLearning() {
    ending = true;
    await learning?.catch(() => undefined);
  },
};

async function learn(found: Working): Promise<void> {
  const { trainer, guessing } = found;
  let told = 0;
  for (let i = 0; i < MOST_STEPS && !ending; i++) {
    const rate = RATE * Math.min(1, (trainer.steps + 1) / WARM_UP);
    const { loss } = await trainer.step(found.batch(BATCH, TASK_LENGTH), rate);
    found.loss = found.loss === undefined ? loss : 0.9 * found.loss + 0.1 * loss;
    if (performance.now() - told > TELL_EVERY) {
      told = performance.now();
      tell('learning', learnt(found));
    }
    if (found.loss < KNOWN * guessing) break;
  }
  tell('learning', learnt(found));
}
