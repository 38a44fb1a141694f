import { CellTrace, type MlstmReading, type SlstmReading, type TracedCell } from 'xlstm';

export type { MlstmCell, MlstmReading, SlstmCell, SlstmReading, TracedCell } from 'xlstm';

import { refusal } from './refusal.ts';
import { anyRun, currentRun, isOwn, whenReplaced } from './train.ts';

/** What the page may ask about the inside of the run's model. */
export interface LookCalls {
  /** Reads a text from scratch and remembers what happened with each token. */
  lookInto(text: string): Promise<Looked>;
  /** All numbers of a cell at a token. */
  lookAt(place: { readonly token: number; readonly cell: number }): Promise<CellLook>;
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
  /** Whether the model is a person's own, not the one that comes with the page. */
  readonly own: boolean;
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
let cells: readonly TracedCell[] = [];

whenReplaced(() => {
  steps = [];
});

export const lookCalls: LookCalls = {
  async lookInto(text) {
    const { model, tokenizer } = await anyRun();
    if (text === '') throw refusal('There is no text to read.', 'Write a few words.');
    using trace = new CellTrace(model.model);
    if (trace.cells.length === 0)
      throw refusal('This model has no mLSTM or sLSTM cells to look into.', 'Open an xLSTM, or train one.');
    const ids = tokenizer.encode(text);
    const most = Math.min(MOST_TOKENS, Math.floor(MOST_BYTES / trace.stateBytes / 2));
    const used = ids.slice(0, most);
    const read: typeof steps = [];
    for (const id of used) read.push(await trace.read(id));
    steps = read;
    cells = trace.cells;
    const perHead = (name: 'input' | 'forget' | 'm'): Float64Array[] =>
      cells.map((cell, c) =>
        Float64Array.from(read.flatMap(({ readings }) => [...headMeans(readings[c][name], cell.heads)])),
      );
    return {
      cells,
      tokens: Array.from(used, (id) => tokenizer.decode([id])),
      note:
        used.length < ids.length ? `The first ${used.length} of ${ids.length} tokens were read.` : undefined,
      input: perHead('input'),
      forget: perHead('forget'),
      stabiliser: perHead('m'),
      stateBytes: trace.stateBytes,
      own: isOwn(),
    };
  },

  async lookAt({ token, cell }) {
    const { logits, readings } = steps[token];
    const reading = readings[cell];
    const before =
      token === 0 ? new Float64Array(reading.c.length) : Float64Array.from(steps[token - 1].readings[cell].c);
    const { tokenizer } = currentRun();
    const next = likeliest(logits).map(({ id, probability }) => ({
      token: tokenizer.decode([id]),
      probability,
    }));
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
