import { formatInteger } from '../../../format.ts';
import type { ContestantName } from '../../../models/baselines/contestants.ts';
import type { Arena, ArenaTask, Cell } from './arena.ts';
import { costPoints, growth } from './cost.ts';
import { crossing, crossingWords } from './crossing.ts';
import { formatChange, formatScore } from './format.ts';
import { lossChange } from './text.ts';

/** Something that papers say and this run may have measured. */
export interface Claim {
  readonly published: string;
  readonly source: string;
  /** What was found here, in words; undefined where nothing was measured. */
  readonly measure: (arena: Arena) => string | undefined;
}

export const claims: readonly Claim[] = [
  {
    published:
      'Perplexity at 1.3B parameters, trained at length 2,048, tested to 16,384: xLSTM stays low (about 9), Llama rises to hundreds.',
    source: 'arXiv 2405.04517, Fig. 7; the numbers unconfirmed',
    measure: (arena) => changes(arena, 8),
  },
  {
    published:
      'Validation perplexity near 400M parameters after 15B tokens: xLSTM[1:0] 13.43, xLSTM[7:1] 13.48, Mamba 13.70, Llama 14.25, RetNet 16.23.',
    source: 'arXiv 2405.04517, Table 1',
    measure: lossOrder,
  },
  {
    published:
      'Decoding on an H100, context 128 to 16k: xLSTM-7B level at 157 tokens/s, Llama-2-7B from 148 to 37.',
    source: 'arXiv 2503.13427 and its benchmark data',
    measure: decodeGrowth,
  },
  {
    published:
      'Forward and backward kernels on an H100, 65,536 tokens: the chunkwise mLSTM overtakes FlashAttention-3 between lengths of 512 and 8,192, at about 2,000.',
    source: 'arXiv 2503.14376, benchmark data of NX-AI/mlstm_kernels',
    measure: trainingMeets,
  },
  {
    published:
      'Associative recall at context 64 with 4 pairs: xLSTM[1:0], xLSTM[1:1] and Mamba solve it at every width; xLSTM[0:1] does better than the LSTM.',
    source: 'arXiv 2405.04517, section 4.1 (vocabulary 8,192)',
    measure: (arena) => scoresAt(arena, (name) => name.startsWith('mqar')),
  },
  {
    published:
      'Nearest-neighbour search: xLSTM[0:1] has a lower error than the LSTM, since it can revise what it stored.',
    source: 'arXiv 2405.04517, appendix (a regression; values in 16 levels here)',
    measure: (arena) =>
      scoresAt(arena, (name) => name === 'nearest-neighbour', ['xlstm[0:1]', 'lstm', 'lstm-block']),
  },
  {
    published:
      'Running products of permutations: models whose gates see the state before can track S3, A5 and S5; those with diagonal positive transitions and Transformers of fixed depth cannot.',
    source: 'arXiv 2404.08819, 2411.12537 (theory)',
    measure: (arena) => scoresAt(arena, (name) => ['s3', 'a5', 's5'].includes(name)),
  },
];

const present = (arena: Arena, task: ArenaTask): Cell[] =>
  arena.contestants.map((contestant) => arena.cell(task, contestant)).filter(({ runs }) => runs.length > 0);

/** "Parity: xLSTM[0:1] 1.00, LSTM 0.98" from the best to the worst. */
function scoresAt(
  arena: Arena,
  wanted: (task: string) => boolean,
  models?: readonly ContestantName[],
): string | undefined {
  const sentences = arena
    .ofKind('score')
    .filter(({ name }) => wanted(name))
    .flatMap((task) => {
      const cells = present(arena, task)
        .filter(
          ({ scores, contestant }) =>
            scores.length > 0 && (!models || (contestant.key && models.includes(contestant.key))),
        )
        .map(({ contestant, scores }) => ({ title: contestant.title, score: Math.max(...scores) }))
        .sort((a, b) => b.score - a.score);
      const words = cells.map(({ title, score }) => `${title} ${formatScore(score)}`);
      return words.length > 0 ? [`${task.title}: ${words.join(', ')}`] : [];
    });
  return sentences.length > 0 ? `Scaled accuracy. ${sentences.join('. ')}.` : undefined;
}

function changes(arena: Arena, factor: number): string | undefined {
  const words = arena.ofKind('text').flatMap((task) =>
    present(arena, task).flatMap(({ contestant, best }) => {
      const change = best && lossChange(best, factor);
      return change === undefined ? [] : [`${contestant.title} ${formatChange(change)}`];
    }),
  );
  return words.length > 0 ? `Loss at ${factor} times the training length: ${words.join(', ')}.` : undefined;
}

function lossOrder(arena: Arena): string | undefined {
  const sentences = arena.ofKind('text').flatMap((task) => {
    const found = present(arena, task)
      .flatMap(({ contestant, best }) => {
        const loss = best?.text?.find(({ factor }) => factor === 1)?.loss;
        return loss === undefined ? [] : [{ title: contestant.title, loss }];
      })
      .sort((a, b) => a.loss - b.loss);
    const words = found.map(({ title, loss }) => `${title} ${loss.toFixed(3)}`);
    return words.length > 0 ? [`${task.title}, nats per token: ${words.join(', ')}.`] : [];
  });
  return sentences.length > 0 ? sentences.join(' ') : undefined;
}

function decodeGrowth(arena: Arena): string | undefined {
  const words = arena.ofKind('cost').flatMap((task) =>
    present(arena, task).flatMap(({ contestant, runs }) => {
      const points = costPoints(runs, 'decodeMsPerToken');
      const times = growth(points);
      if (times === undefined) return [];
      const [shortest, longest] = [points[0], points[points.length - 1]].map(({ length }) =>
        formatInteger(length),
      );
      return [`${contestant.title} ${times.toPrecision(3)}× from ${shortest} to ${longest}`];
    }),
  );
  return words.length > 0 ? `Time per token: ${words.join(', ')}.` : undefined;
}

function trainingMeets(arena: Arena): string | undefined {
  const words = arena.ofKind('cost').flatMap((task) => {
    const cells = present(arena, task);
    const transformer = cells.find(({ contestant }) => contestant.key === 'transformer');
    if (!transformer) return [];
    const quadratic = costPoints(transformer.runs, 'trainMsPerToken');
    return cells
      .filter(({ contestant }) => contestant.family === 'xlstm')
      .map(({ contestant, runs }) => {
        const found = crossing(costPoints(runs, 'trainMsPerToken'), quadratic);
        return `${contestant.title} trains cheaper than the Transformer ${crossingWords(found)}.`;
      });
  });
  return words.length > 0 ? words.join(' ') : undefined;
}
