import { CellTrace, type MlstmReading, type SlstmReading, type TracedCell } from 'xlstm';

export type { MlstmCell, MlstmReading, SlstmCell, SlstmReading, TracedCell } from 'xlstm';

import type { Model } from 'xlstm';
import { contest, type TaskName, taskLabels } from './contests.ts';
import { refusal } from './refusal.ts';
import { type Learnt, learner, TASK_LENGTH } from './tasks.ts';
import { anyRun, isOwn, whenReplaced } from './train.ts';

/** What the page may ask about the inside of the run's model. */
export interface LookCalls {
  /** Reads a text or a task from scratch and remembers what happened with each token. */
  lookInto(what: LookOrder): Promise<Looked>;
  /** Lets it be with the tokens read so far. */
  stopLooking(argument: undefined): Promise<void>;
  /** All numbers of a cell at a token. */
  lookAt(place: { readonly token: number; readonly cell: number }): Promise<CellLook>;
}

/** A text, read by the run's model; or a sequence of a task, by the model that learns it. */
export type LookOrder = { readonly text: string } | { readonly task: TaskName; readonly seed: number };

/** What a task asks at a token, and what the model says. */
export interface Answer {
  readonly expected: string;
  readonly given: string;
}

export interface Looked {
  readonly cells: readonly TracedCell[];
  /** Texts of the tokens. */
  readonly tokens: readonly string[];
  /** What is used of the text, where it is not all. */
  readonly note: string | undefined;
  /** Of each cell and token: the means over units of a head, [tokens, H]. */
  readonly input: readonly Float64Array[];
  readonly forget: readonly Float64Array[];
  readonly stabiliser: readonly Float64Array[];
  readonly stateBytes: number;
  /** Whether the model is a person's own, not the one that comes with the page; of a text. */
  readonly own: boolean;
  /** How far the model of a task is; undefined of a text. */
  readonly learnt: Learnt | undefined;
  /** Of each token of a task; undefined where nothing is asked. */
  readonly answers: readonly (Answer | undefined)[];
}

export interface CellLook {
  readonly reading: MlstmReading | SlstmReading;
  /** The memory before the token. */
  readonly before: Float64Array;
  /** What the token's predecessors make likely: the five likeliest next tokens. */
  readonly next: readonly { readonly token: string; readonly probability: number }[];
}

/** Memories of all tokens are kept: more would take too much. */
const MOST_TOKENS = 240;
const MOST_BYTES = 400e6;

let steps: Awaited<ReturnType<CellTrace['read']>>[] = [];
let stopping = false;
let cells: readonly TracedCell[] = [];
/** What a token that may come next is called. */
let called: (id: number) => string = String;

whenReplaced(() => {
  steps = [];
});

/** Tokens, and the model that reads them. */
interface Reading {
  readonly model: Model;
  readonly ids: ArrayLike<number>;
  readonly nameOf: (id: number) => string;
  readonly toldOf: (id: number) => string;
  readonly own: boolean;
  readonly learnt: Learnt | undefined;
  /** Ids of what a task asks for: -1 where it asks nothing. */
  readonly asked: ArrayLike<number>;
}

async function textReading(text: string): Promise<Reading> {
  const { model, tokenizer } = await anyRun();
  if (text === '') throw refusal('There is no text to read.', 'Write a few words.');
  const nameOf = (id: number): string => tokenizer.decode([id]);
  return {
    ...{ model: model.model, ids: tokenizer.encode(text), nameOf, toldOf: nameOf },
    ...{ own: isOwn(), learnt: undefined, asked: [] },
  };
}

async function taskReading(task: TaskName, seed: number): Promise<Reading> {
  const { model, ...learnt } = await learner(task);
  const { tokens, targets } = contest(task, '', seed).batch(1, TASK_LENGTH);
  return {
    ...{ model, ids: tokens, learnt, own: true, asked: targets },
    nameOf: (id) => taskLabels(task, id).read,
    toldOf: (id) => taskLabels(task, id).told,
  };
}

export const lookCalls: LookCalls = {
  async lookInto(what) {
    const reading = await ('text' in what ? textReading(what.text) : taskReading(what.task, what.seed));
    const { model, ids, nameOf, toldOf, asked } = reading;
    using trace = new CellTrace(model);
    if (trace.cells.length === 0)
      throw refusal('This model has no mLSTM or sLSTM cells to look into.', 'Open an xLSTM, or train one.');
    const most = Math.min(MOST_TOKENS, Math.floor(MOST_BYTES / trace.stateBytes / 2));
    if (most < 1)
      throw refusal(
        `The state of this model takes ${(trace.stateBytes / 1e6).toFixed(0)} MB: too much to keep for each token.`,
        'Look into a smaller one, or use "xlstm inspect RUN --gates TEXT".',
      );
    const all = Array.from(ids).slice(0, most);
    const read: typeof steps = [];
    stopping = false;
    for (const id of all) {
      read.push(await trace.read(id));
      if (stopping) break;
    }
    steps = read;
    const used = all.slice(0, read.length);
    cells = trace.cells;
    called = toldOf;
    const perHead = (name: 'input' | 'forget' | 'm'): Float64Array[] =>
      cells.map((cell, c) =>
        Float64Array.from(read.flatMap(({ readings }) => [...headMeans(readings[c][name], cell.heads)])),
      );
    return {
      cells,
      tokens: used.map(nameOf),
      note:
        used.length < ids.length ? `The first ${used.length} of ${ids.length} tokens were read.` : undefined,
      input: perHead('input'),
      forget: perHead('forget'),
      stabiliser: perHead('m'),
      stateBytes: trace.stateBytes,
      own: reading.own,
      learnt: reading.learnt,
      answers: read.map(({ logits }, t) =>
        (asked[t] ?? -1) < 0
          ? undefined
          : { expected: toldOf(asked[t]), given: toldOf(likeliest(logits)[0].id) },
      ),
    };
  },

  async stopLooking() {
    stopping = true;
  },

  async lookAt({ token, cell }) {
    const { logits, readings } = steps[token];
    const reading = readings[cell];
    const before =
      token === 0 ? new Float64Array(reading.c.length) : Float64Array.from(steps[token - 1].readings[cell].c);
    const next = likeliest(logits).map(({ id, probability }) => ({ token: called(id), probability }));
    return { reading, before, next };
  },
};

/** Of an mLSTM there is one number a head already. */
function headMeans(values: ArrayLike<number>, heads: number): number[] {
  const size = values.length / heads;
  return Array.from({ length: heads }, (_, head) => {
    let sum = 0;
    for (let u = 0; u < size; u++) sum += values[head * size + u];
    return sum / size;
  });
}

function likeliest(logits: ArrayLike<number>): { readonly id: number; readonly probability: number }[] {
  const values = Array.from(logits);
  const most = Math.max(...values);
  const sum = values.reduce((total, value) => total + Math.exp(value - most), 0);
  return values
    .map((value, id) => ({ id, probability: Math.exp(value - most) / sum }))
    .sort((a, b) => b.probability - a.probability)
    .slice(0, 5);
}
