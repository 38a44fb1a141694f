import { type Contestant, contestantsOf } from '../../arena/report/appearance.ts';
import type { StudyRecord } from '../records.ts';

const LARGE: Contestant = {
  model: 'xlstm-large',
  key: undefined,
  title: 'xLSTM Large',
  family: 'xlstm',
  style: { hue: 'vermilion', dash: 'solid', marker: 'square' },
};

/** The models of a study in a fixed order, those of xLSTM first; each looks as in the arena. */
export function modelsOf(records: readonly Pick<StudyRecord, 'model'>[]): Contestant[] {
  const names = [...new Set(records.map(({ model }) => model))];
  const others = contestantsOf(names.filter((name) => name !== LARGE.model));
  const known = names.includes(LARGE.model) ? [...others, LARGE] : others;
  const rank = ({ family }: Contestant): number => (family === 'xlstm' ? 0 : 1);
  return known.sort((a, b) => rank(a) - rank(b));
}
