import { formatCount, formatInteger } from '../../../format.ts';
import { crossing, crossingWords } from '../../arena/report/crossing.ts';
import { type Section, table, text } from '../../arena/report/section.ts';
import { words } from '../../arena/report/table.ts';
import type { Analysis } from './analysis.ts';
import { withInterval } from './contest_section.ts';
import { against, type Contest, entryOf, outcome } from './contests.ts';
import { costPoints, costSize } from './cost_section.ts';
import { distancesOf, recallAt } from './long_section.ts';

export type Verdict = 'holds' | 'holds at this size' | 'not decided' | 'does not hold' | 'not measured';

/** Something that a paper says, and what was found of it here. */
interface Claim {
  readonly claim: string;
  readonly source: string;
  readonly find: (analysis: Analysis, contests: readonly Contest[]) => Finding | undefined;
}

export interface Finding {
  readonly measured: string;
  readonly verdict: Verdict;
}

const CLAIMS: readonly Claim[] = [
  {
    claim:
      'At equal size and data xLSTM[1:0] has a lower loss than a Transformer (perplexity 13.43 and 14.25 near 400M parameters).',
    source: 'arXiv 2405.04517, Table 1',
    find: lower('size', 'xlstm[1:0]', 'transformer'),
  },
  {
    claim: 'At equal size and data xLSTM[7:1] has a lower loss than Mamba (13.48 and 13.70).',
    source: 'arXiv 2405.04517, Table 1',
    find: lower('size', 'xlstm[7:1]', 'mamba'),
  },
  {
    claim: 'For the same operations of training xLSTM has a lower loss than a Transformer.',
    source: 'arXiv 2510.02228',
    find: lower('flops', 'xlstm-large', 'transformer'),
  },
  {
    claim:
      'Beyond the length of training the loss of xLSTM stays low, that of a Transformer with rotary positions rises.',
    source: 'arXiv 2405.04517, Fig. 7',
    find: lower('beyond', undefined, 'transformer'),
  },
  {
    claim: 'The state of an xLSTM has the same size at every length, and a token costs the same.',
    source: 'arXiv 2503.13427 (decoding level from 128 to 16k)',
    find: levelCost,
  },
  {
    claim:
      'The first token after a long text comes sooner from xLSTM than from a Transformer (at 16k, 160M parameters: 24.4 and 37.2 ms).',
    source: 'arXiv 2510.02228',
    find: firstToken,
  },
  {
    claim: 'A state of constant size recalls less from far back than attention does.',
    source: 'known limit of recurrent models; arXiv 2312.04927 of recall within a text',
    find: farRecall,
  },
];

/** The claims of papers beside what was measured. */
export function claimSection(analysis: Analysis, contests: readonly Contest[]): Section {
  return {
    id: 'claims',
    title: 'What papers say',
    blocks: [
      text(
        '“Holds” is said of what does not depend on the size of a model; of a loss it is said for the sizes that were measured here.',
      ),
      table({
        title: 'Claims, and what was measured here',
        look: 'prose',
        columns: ['claim', 'source', 'measured here', 'verdict'].map(words),
        rows: CLAIMS.map(({ claim, source, find }) => {
          const { measured, verdict } = find(analysis, contests) ?? { measured: '', verdict: 'not measured' };
          return { cells: [claim, source, measured, verdict] };
        }),
      }),
    ],
  };
}

/** That one model, or else the best xLSTM, has the lower number in a contest. */
function lower(id: Contest['id'], first: string | undefined, second: string): Claim['find'] {
  return (_, contests) => {
    const contest = contests.find((one) => one.id === id);
    const a = contest?.entries.find(({ model }) =>
      first ? model.model === first : model.family === 'xlstm',
    );
    const b = contest && entryOf(contest, second);
    if (!contest || !a || !b) return undefined;
    const gap = against(a, b);
    const found = outcome(gap);
    return {
      measured: `${contest.title}: ${a.model.title} ${withInterval(a.estimate)}, ${b.model.title} ${withInterval(b.estimate)}, difference ${withInterval(gap)} ${contest.unit}.`,
      verdict: found === 'ahead' ? 'holds at this size' : found === 'behind' ? 'does not hold' : found,
    };
  };
}

/** Between the shortest and the longest text that was read, a token may cost so much more for its time to be called level. */
const LEVEL = 1.25;

function levelCost(analysis: Analysis): Finding | undefined {
  const size = costSize(analysis);
  const growths = analysis.models
    .filter(({ family }) => family === 'xlstm')
    .flatMap((model) => {
      const state = costPoints(model, size, 'stateBytes', 1);
      const time = costPoints(model, size, 'tokenMs', 1);
      if (state.length < 2) return [];
      const growth = (points: typeof time): number => points[points.length - 1].cost / points[0].cost;
      return [{ title: model.title, state: growth(state), time: growth(time), points: time }];
    });
  if (growths.length === 0) return undefined;
  const [{ points }] = growths;
  const said = growths.map(
    ({ title, state, time }) => `${title}: state ${state.toFixed(2)} ×, time ${time.toFixed(2)} ×`,
  );
  const level = growths.every(({ state, time }) => state === 1 && time < LEVEL);
  return {
    measured: `From ${formatInteger(points[0].length)} to ${formatInteger(points[points.length - 1].length)} tokens. ${said.join('; ')}.`,
    verdict: level ? 'holds' : growths.every(({ state }) => state === 1) ? 'not decided' : 'does not hold',
  };
}

function firstToken(analysis: Analysis): Finding | undefined {
  const size = costSize(analysis);
  const points = (name: string) => {
    const model = analysis.models.find((one) => one.model === name);
    return model ? costPoints(model, size, 'firstMs', 1) : [];
  };
  const met = crossing(points('xlstm-large'), points('transformer'));
  if (met.kind === 'unknown' || size === undefined) return undefined;
  const sooner = met.kind === 'always' || met.kind === 'from';
  return {
    measured: `At ${formatCount(size)} parameters xLSTM Large is sooner ${crossingWords(met)}.`,
    verdict: sooner ? 'holds at this size' : 'does not hold',
  };
}

function farRecall(analysis: Analysis): Finding | undefined {
  const distance = distancesOf(analysis).at(-1);
  const transformer = analysis.models.find(({ model }) => model === 'transformer');
  if (distance === undefined || !transformer) return undefined;
  const attention = recallAt(transformer, distance);
  const recurrent = analysis.models.flatMap((model) => {
    const found = model.family === 'xlstm' ? recallAt(model, distance) : undefined;
    return found ? [{ title: model.title, found }] : [];
  });
  if (!attention || recurrent.length === 0) return undefined;
  const said = recurrent.map(({ title, found }) => `${title} ${withInterval(found)}`);
  const less = recurrent.every(({ found }) => found.high < attention.low);
  const more = recurrent.some(({ found }) => found.low > attention.high);
  return {
    measured: `Recalled after ${formatInteger(distance)} tokens: Transformer ${withInterval(attention)}, ${said.join(', ')}.`,
    verdict: less ? 'holds at this size' : more ? 'does not hold' : 'not decided',
  };
}
