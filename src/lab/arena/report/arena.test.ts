import { describe, expect, it } from 'vitest';
import type { CellRecord } from '../records.ts';
import { arenaOf } from './arena.ts';
import { publishedSection, verdict } from './comparison.ts';
import { type PublishedScore, publishedScores } from './published.ts';
import { bestWords, scoreCells } from './scores.ts';
import { commonSettings } from './settings_section.ts';
import { aRun, costRun, mixedRecords, scoreRun, textRun } from './testing/records.ts';
import { thinned } from './text.ts';

const cellOf = (records: Parameters<typeof arenaOf>[0]) => {
  const arena = arenaOf(records);
  return arena.cell(arena.tasks[0], arena.contestants[0]);
};

describe('cells', () => {
  it('hold best, mean and least of the seeds that finished', () => {
    const lost = { status: 'diverged', scaledAccuracy: undefined } as const;
    const cell = cellOf([
      scoreRun('parity', 'lstm', 1, 0.5),
      scoreRun('parity', 'lstm', 2, 0.9),
      { ...scoreRun('parity', 'lstm', 3, 1), ...lost },
    ]);
    expect(cell.best?.seed).toBe(2);
    expect(scoreCells(cell)).toEqual(['0.900', '0.700', '0.500', '2 of 3']);
  });

  it('say how they were lost', () => {
    const run = (status: 'diverged' | 'failed', seed: number) =>
      aRun({ task: 'parity', model: 'lstm', status, seed });
    expect(bestWords(cellOf([run('diverged', 1)]))).toBe('diverged');
    expect(bestWords(cellOf([run('failed', 1)]))).toBe('failed');
    expect(bestWords(cellOf([run('failed', 1), run('diverged', 2)]))).toBe('diverged, failed');
    expect(bestWords(cellOf([aRun({ task: 'parity', model: 'lstm' })]))).toBe('no score');
  });

  it('never show as perfect what is not', () => {
    expect(bestWords(cellOf([scoreRun('parity', 'lstm', 1, 0.9994)]))).toBe('0.999');
    expect(bestWords(cellOf([scoreRun('parity', 'lstm', 1, 1)]))).toBe('1.000');
  });

  it('leave out what is no number, also after a way through JSON', () => {
    const [done] = scoreRun('parity', 'lstm', 1, 1).accuracy!;
    const curve = [1, Number.NaN, Number.POSITIVE_INFINITY].map((loss, step) => ({
      step,
      tokens: 1,
      seconds: 1,
      loss,
    }));
    const run = aRun({
      task: 'parity',
      model: 'lstm',
      curve,
      accuracy: [done, { ...done, scaled: Number.NaN }],
      scaledAccuracy: Number.NaN,
    });
    for (const record of [run, JSON.parse(JSON.stringify(run)) as CellRecord]) {
      const cell = cellOf([record]);
      expect(cell.best?.curve).toHaveLength(1);
      expect(cell.best?.accuracy).toEqual([done]);
      expect(bestWords(cell)).toBe('no score');
    }
  });

  it('take the lowest loss as best where there are no scores', () => {
    expect(cellOf([textRun('lstm', 1, 1.5, 0), textRun('lstm', 2, 1.4, 0)]).best?.seed).toBe(2);
  });
});

describe('tasks', () => {
  it('come in the groups of Figure 4, known kinds apart', () => {
    const arena = arenaOf([
      scoreRun('s3', 'lstm', 1, 1),
      costRun('lstm', 0.01, 1e9),
      textRun('lstm', 1, 1.5, 0),
      scoreRun('parity', 'lstm', 1, 1),
      scoreRun('bucket-sort', 'lstm', 1, 1),
    ]);
    expect(arena.ofKind('score').map(({ name }) => name)).toEqual(['bucket-sort', 'parity', 's3']);
    expect(arena.ofKind('text').map(({ name }) => name)).toEqual(['text']);
    expect(arena.ofKind('cost').map(({ name }) => name)).toEqual(['cost']);
    expect(arena.ofKind('score').map(({ trained }) => trained)).toEqual([
      [3, 40],
      [3, 40],
      [1, 32],
    ]);
  });

  it('of one title are told apart by name', () => {
    const arena = arenaOf([scoreRun('mqar', 'lstm', 1, 1), scoreRun('mqar[128,4]', 'lstm', 1, 1)]);
    expect(arena.tasks.map(({ title }) => title)).toEqual([
      'Associative recall, 4 pairs, mqar',
      'Associative recall, 4 pairs, mqar[128,4]',
    ]);
  });

  it('and models are none when nothing was run', () => {
    const { tasks, contestants } = arenaOf([]);
    expect([tasks, contestants]).toEqual([[], []]);
  });
});

describe('published figures', () => {
  const published = (task: string, model: string): PublishedScore[] =>
    publishedScores.filter((one) => one.task === task && one.model === model);

  it('are scores, each of a source once', () => {
    const keys = publishedScores.map(({ task, model, source }) => `${task} ${model} ${source}`);
    expect(new Set(keys).size).toBe(keys.length);
    for (const { score } of publishedScores) expect(score <= 1 && score > -0.1).toBe(true);
    expect(publishedScores.filter(({ confirmed }) => confirmed)).toHaveLength(6);
  });

  it('of raw accuracy are scaled by chance', () => {
    const slice = published('cycle-navigation', 'xlstm[0:1]').find(({ source }) => source === 'slice');
    expect(slice?.score).toBeCloseTo(0.15625, 9);
  });

  it('agree or not, the mean with means and the best with bests', () => {
    const parity = published('parity', 'xlstm[0:1]');
    expect(verdict([1, 1], parity)).toBe('agrees');
    expect(verdict([1, 0.5], parity)).toBe(
      'agrees with xLSTM, Fig. 4; Grazzi et al.; 0.25 below SLiCE paper',
    );
    expect(verdict([0.5], parity)).toContain('not reproduced: 0.50 below xLSTM, Fig. 4');
    const arithmetic = published('modular-arithmetic', 'xlstm[0:1]');
    expect(verdict([0.4], arithmetic)).toMatch(/^between the published/);
    expect(verdict([0.6], published('parity', 'mamba'))).toMatch(/^higher than published/);
    expect(verdict([], parity)).toBe('no figure: no run finished');
  });

  it('name in words what was not reproduced', () => {
    const section = publishedSection(arenaOf([scoreRun('cycle-navigation', 'mamba', 1, 0.1)]));
    const said = JSON.stringify(section.blocks);
    expect(said).toContain('Not reproduced: Mamba on Cycle navigation.');
    expect(said).toContain('Published tasks that are not part of this run: Bucket sort');
  });
});

describe('settings', () => {
  it('that all runs share are found', () => {
    const settings: CellRecord['settings'][] = [
      { batch: 64, heads: 4 },
      { batch: 64, heads: 1 },
      { batch: 64 },
    ];
    const runs = settings.map((settings) => aRun({ task: 'parity', model: 'lstm', settings }));
    expect(commonSettings(runs)).toEqual({ batch: 64 });
    expect(commonSettings([])).toEqual({});
  });
});

describe('loss curves', () => {
  const curve = Array.from({ length: 5000 }, (_, k) => ({
    step: k + 1,
    tokens: k + 1,
    seconds: k + 1,
    loss: 2,
  }));

  it('keep their mean, their first points and both ends when thinned', () => {
    const thin = thinned(curve, 100);
    expect(thin.length).toBeGreaterThan(50);
    expect(thin.length).toBeLessThan(140);
    expect(thin[0].tokens).toBe(1);
    expect(thin[1].tokens).toBe(2);
    expect(thin.at(-1)!.tokens).toBeGreaterThan(4700);
    for (const { loss } of thin) expect(loss).toBe(2);
  });
});

describe('made-up records', () => {
  it('hold every kind of cell', () => {
    const arena = arenaOf(mixedRecords());
    const cells = arena.tasks.flatMap((task) =>
      arena.contestants.map((contestant) => arena.cell(task, contestant)),
    );
    expect(cells.some(({ runs }) => runs.length === 0)).toBe(true);
    expect(cells.some(({ diverged, best }) => diverged > 0 && !best)).toBe(true);
    expect(cells.some(({ diverged, best }) => diverged > 0 && best)).toBe(true);
    expect(cells.some(({ failed }) => failed > 0)).toBe(true);
  });
});
