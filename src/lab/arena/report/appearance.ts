import type { ContestantName } from '../../../models/baselines/contestants.ts';
import type { Hue, LineStyle, Marker } from '../../charts/line_style.ts';

export interface Contestant {
  /** As the records call it. */
  readonly model: string;
  /** Undefined for a model that is none of the arena's own. */
  readonly key: ContestantName | undefined;
  readonly title: string;
  readonly family: 'xlstm' | 'attention' | 'other';
  /** The same in every chart: the hue tells the family, dashes and marker the member. */
  readonly style: LineStyle;
}

interface Known {
  readonly title: string;
  readonly family: Contestant['family'];
  readonly style: LineStyle;
}

const look = (
  title: string,
  family: Contestant['family'],
  hue: Hue,
  dash: LineStyle['dash'],
  marker: Marker,
): Known => ({ title, family, style: { hue, dash, marker } });

/** Short titles, as the ends of lines have room for; in the order of rows and legends. */
const known = {
  'xlstm[0:1]': look('xLSTM[0:1]', 'xlstm', 'vermilion', 'solid', 'square'),
  'xlstm[1:0]': look('xLSTM[1:0]', 'xlstm', 'blue', 'solid', 'circle'),
  'xlstm[1:1]': look('xLSTM[1:1]', 'xlstm', 'purple', 'solid', 'diamond'),
  'xlstm[7:1]': look('xLSTM[7:1]', 'xlstm', 'purple', 'dashed', 'triangle'),
  transformer: look('Transformer', 'attention', 'ink', 'solid', 'triangle'),
  gpt: look('GPT', 'attention', 'ink', 'dashed', 'square'),
  mamba: look('Mamba', 'other', 'gold', 'solid', 'circle'),
  minlstm: look('minLSTM', 'other', 'gold', 'dashed', 'square'),
  retnet: look('RetNet', 'other', 'sky', 'solid', 'diamond'),
  'linear-attention': look('Linear attention', 'other', 'sky', 'dashed', 'circle'),
  'gated-deltanet[-1:1]': look('Gated DeltaNet [−1, 1]', 'other', 'brown', 'solid', 'triangle'),
  'gated-deltanet[0:1]': look('Gated DeltaNet [0, 1]', 'other', 'brown', 'dashed', 'diamond'),
  lstm: look('LSTM', 'other', 'green', 'solid', 'square'),
  'lstm-block': look('LSTM (block)', 'other', 'green', 'dashed', 'diamond'),
  gru: look('GRU', 'other', 'green', 'dotted', 'triangle'),
  elman: look('Elman RNN', 'other', 'green', 'dashdot', 'circle'),
} as const satisfies Readonly<Record<ContestantName, Known>>;

const order = Object.keys(known) as ContestantName[];

const isKnown = (model: string): model is ContestantName => Object.hasOwn(known, model);

export const contestantTitle = (name: ContestantName): string => known[name].title;

const strangerDashes: readonly LineStyle['dash'][] = ['solid', 'dashed', 'dotted', 'dashdot'];
const strangerMarkers: readonly Marker[] = ['circle', 'square', 'triangle', 'diamond'];

/** The models of a run in a fixed order, each once; models without a place of their own come last, in grey. */
export function contestantsOf(models: readonly string[]): Contestant[] {
  const rank = (model: string): number => (isKnown(model) ? order.indexOf(model) : order.length);
  const names = [...new Set(models)].sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1));
  let strangers = 0;
  return names.map((model) => {
    if (isKnown(model)) return { model, key: model, ...known[model] };
    const style: LineStyle = {
      hue: 'grey',
      dash: strangerDashes[strangers % 4],
      marker: strangerMarkers[Math.floor(strangers++ / 4) % 4],
    };
    return { model, key: undefined, title: model, family: 'other', style };
  });
}
