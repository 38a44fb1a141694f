import type { ContestantName } from '../../../models/baselines/contestants.ts';

/** Where figures were published, and what a reader must know to compare them. */
export interface Source {
  readonly short: string;
  readonly citation: string;
  /** Which of several seeds the figures are: the measured figure beside them is the same. */
  readonly statistic: 'best' | 'mean';
  /** What was trained and how the figure was taken from the runs. */
  readonly protocol: string;
  /** How sure the figures themselves are. */
  readonly certainty: string;
}

export const sources = {
  figure4: {
    short: 'xLSTM, Fig. 4',
    citation: 'Beck et al. 2024, xLSTM: Extended Long Short-Term Memory, arXiv 2405.04517, Figure 4',
    statistic: 'best',
    protocol:
      'two blocks, 100,000 steps of 256 sequences, lengths 3 to 40, tested at 40 to 256; best of two seeds and three learning rates',
    certainty:
      'second-hand and unconfirmed, to be read as orderings, but for the six marked †, which Grazzi et al. quote',
  },
  figure12: {
    short: 'xLSTM, Fig. 12',
    citation: 'Beck et al. 2024, arXiv 2405.04517, Figure 12',
    statistic: 'best',
    protocol: 'as for Figure 4',
    certainty:
      'from the paper’s text, in which two rows bear the name xLSTM[0:1] and one is probably the plain LSTM',
  },
  grazzi: {
    short: 'Grazzi et al.',
    citation:
      'Grazzi et al. 2024, Unlocking State-Tracking in Linear RNNs Through Negative Eigenvalues, arXiv 2411.12537, Table 3',
    statistic: 'best',
    protocol:
      'two or three layers, 100,000 steps of 512 or 1,024 sequences, lengths 3 to 40, tested at 40 to 256; best of three seeds',
    certainty: 'from the paper',
  },
  slice: {
    short: 'SLiCE paper',
    citation: 'arXiv 2505.17761 (Structured Linear Controlled Differential Equations), Table 2',
    statistic: 'mean',
    protocol:
      'two blocks, 100,000 steps of 256 sequences, a loss at every position, lengths 3 to 40, tested at 40 to 256; mean of five seeds, scaled here from raw accuracy',
    certainty: 'from the paper',
  },
  subquadratic: {
    short: 'Subquadratic',
    citation: 'On Subquadratic Architectures, arXiv 2606.12364',
    statistic: 'best',
    protocol: 'trained at length 128, tested at 2,048',
    certainty: 'from a summary of the paper',
  },
  mamba3: {
    short: 'Mamba-3 paper',
    citation: 'Mamba-3, arXiv 2603.15569',
    statistic: 'best',
    protocol: 'a curriculum of lengths 3 to 40 up to 160, tested at 256, eight learning rates',
    certainty: 'from the paper',
  },
} as const satisfies Readonly<Record<string, Source>>;

export type SourceKey = keyof typeof sources;

export interface PublishedScore {
  readonly task: string;
  readonly model: ContestantName;
  readonly source: SourceKey;
  /** Scaled accuracy. */
  readonly score: number;
  /** Quoted by a second paper. */
  readonly confirmed: boolean;
}

type Rows = Readonly<Partial<Record<ContestantName, readonly (number | undefined)[]>>>;

/** Scores of a table with a row a model and a column a task. */
function scoresOf(
  source: SourceKey,
  columns: readonly string[],
  rows: Rows,
  convert: (value: number, column: number) => number = (value) => value,
): PublishedScore[] {
  return (Object.entries(rows) as [ContestantName, readonly (number | undefined)[]][]).flatMap(
    ([model, values]) =>
      values.flatMap((value, column) => {
        if (value === undefined) return [];
        const task = columns[column];
        const confirmed = source === 'figure4' && CONFIRMED.includes(`${model} ${task}`);
        return [{ task, model, source, score: convert(value, column), confirmed }];
      }),
  );
}

/** Figure 4's values that Grazzi et al. print in brackets. */
const CONFIRMED: readonly string[] = ['xlstm[1:0]', 'xlstm[0:1]'].flatMap((model) =>
  ['parity', 'modular-arithmetic', 'modular-arithmetic-brackets'].map((task) => `${model} ${task}`),
);

const REGULAR = ['cycle-navigation', 'even-pairs', 'modular-arithmetic', 'parity'] as const;
const REGULAR_CHANCE = [1 / 5, 1 / 2, 1 / 5, 1 / 2] as const;

export const publishedScores: readonly PublishedScore[] = [
  ...scoresOf(
    'figure4',
    [
      'bucket-sort',
      'missing-duplicate',
      'modular-arithmetic-brackets',
      'solve-equation',
      'cycle-navigation',
      'even-pairs',
      'modular-arithmetic',
      'parity',
      'majority',
      'majority-count',
    ],
    {
      transformer: [0.92, 0.08, 0.02, 0.02, 0.04, 1, 0.03, 0.03, 0.37, 0.13],
      mamba: [0.69, 0.15, 0.04, 0.05, 0.86, 1, 0.05, 0.13, 0.69, 0.45],
      retnet: [0.13, 0.03, 0.03, 0.03, 0.05, 0.51, 0.04, 0.05, 0.36, 0.12],
      'lstm-block': [0.99, 0.15, 0.76, 0.5, 0.97, 1, 0.91, 1, 0.58, 0.27],
      lstm: [0.94, 0.2, 0.72, 0.38, 0.93, 1, 1, 1, 0.82, 0.33],
      'xlstm[0:1]': [0.84, 0.23, 0.57, 0.55, 1, 1, 1, 1, 0.75, 0.22],
      'xlstm[1:0]': [0.97, 0.33, 0.03, 0.03, 0.86, 1, 0.04, 0.04, 0.74, 0.46],
      'xlstm[1:1]': [0.7, 0.2, 0.15, 0.24, 0.8, 1, 0.6, 1, 0.64, 0.5],
    },
  ),
  ...scoresOf('figure12', ['odds-first', 'reverse-string', 'stack-manipulation', 'repetition', 'set'], {
    transformer: [0.07, 0.06, 0.11, 0.08, 0.04],
    mamba: [0.08, 0.13, 0.21, 0.15, 0.12],
    retnet: [0.03, 0.11, 0.03, 0.02, 0.02],
    'lstm-block': [0.08, 0.17, 0.25, 0.15, 0.18],
    'xlstm[0:1]': [0.09, 0.14, 0.13, 0.09, 0.17],
    'xlstm[1:0]': [0.15, 0.22, 0.25, 0.28, 0.17],
    'xlstm[1:1]': [0.08, 0.2, 0.17, 0.09, 0.15],
  }),
  ...scoresOf('grazzi', ['parity', 'modular-arithmetic', 'modular-arithmetic-brackets'], {
    transformer: [0.022, 0.031, 0.067],
    'xlstm[1:0]': [0.087, 0.04, 0.114],
    'xlstm[0:1]': [1, 0.787, 0.178],
    mamba: [0, 0.095, 0.123],
  }),
  ...scoresOf(
    'slice',
    REGULAR,
    {
      lstm: [100, 100, 99.9, 100],
      'xlstm[0:1]': [32.5, 100, 27.7, 100],
      'xlstm[1:1]': [53.5, 99, 29.3, 100],
      'xlstm[1:0]': [52.4, 99.9, 28.8, 53],
      'gated-deltanet[0:1]': [53.8, 100, 42.8, 56.5],
      transformer: [24.4, 90.4, 23.6, 52.2],
      mamba: [48.4, 100, 33.1, 54.2],
    },
    (percent, column) => (percent / 100 - REGULAR_CHANCE[column]) / (1 - REGULAR_CHANCE[column]),
  ),
  ...scoresOf('subquadratic', ['parity', 's3', 'anbn', 'majority-count'], {
    'xlstm[1:1]': [1, 1],
    'xlstm[1:0]': [0, 0, 0.892, 0.763],
    'gated-deltanet[0:1]': [undefined, undefined, undefined, 0.268],
    'gated-deltanet[-1:1]': [0.472, 0.667],
  }),
  ...scoresOf('mamba3', ['parity', 'modular-arithmetic', 'modular-arithmetic-brackets'], {
    'gated-deltanet[-1:1]': [1, 0.9925, 0.935],
  }),
];
