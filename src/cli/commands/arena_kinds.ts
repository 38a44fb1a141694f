import { XlstmError } from '../../errors.ts';

/** What an arena may be: its cells side by side, a scaling study, a search of settings. */
export type ArenaKind = 'cells' | 'scaling' | 'search';

/** Options that say nothing of a kind. */
const OTHERS: Readonly<Record<ArenaKind, readonly string[]>> = {
  cells: ['sizes', 'trials', 'tokens'],
  scaling: ['tasks', 'budget', 'learningRate', 'steps', 'trials', 'tokens'],
  search: ['sizes', 'learningRate', 'steps', 'data'],
};

const REASONS: Readonly<Record<ArenaKind, readonly [what: string, hint: string]>> = {
  cells: [
    'is of another kind of arena',
    'Leave it out; --sizes goes with --scaling, --trials and --tokens with --search.',
  ],
  scaling: [
    'says nothing of a scaling study, which has sizes, texts and learning rates of its own',
    'Leave it out; sizes are chosen with --sizes.',
  ],
  search: ['says nothing of a search, which tries settings of its own', 'Leave it out.'],
};

/** Throws a usage error where an option was given that belongs to another kind of run. */
export function arenaKind(options: Readonly<Record<string, unknown>>): ArenaKind {
  if (options.scaling === true && options.search === true) {
    throw new XlstmError('usage', '--scaling and --search are two kinds of arena', 'Choose one of them.');
  }
  const kind = options.scaling === true ? 'scaling' : options.search === true ? 'search' : 'cells';
  for (const name of OTHERS[kind]) {
    if (options[name] === undefined) continue;
    const option = `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
    const [what, hint] = REASONS[kind];
    throw new XlstmError('usage', `${option} ${what}`, hint);
  }
  return kind;
}
