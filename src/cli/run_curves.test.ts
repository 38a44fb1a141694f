import { describe, expect, it } from 'vitest';
import { curvePoints, onGrid, type RunCurve, runCharts } from './run_curves.ts';

describe('onGrid', () => {
  it('has means of what is near a place, and what a line has between', () => {
    const points = [0, 1, 2, 3, 4, 5, 6, 7].map((x) => ({ x: x * 10, y: x }));
    expect(onGrid(points, 70, 8)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect(onGrid(points, 70, 3)).toEqual([0.5, 3.5, 6.5]);
    expect(
      onGrid(
        [
          { x: 10, y: 1 },
          { x: 30, y: 3 },
        ],
        40,
        5,
      ),
    ).toEqual([Number.NaN, 1, 2, 3, Number.NaN]);
  });

  it('takes one point, and none', () => {
    expect(onGrid([{ x: 5, y: 2 }], 5, 2)).toEqual([Number.NaN, 2]);
    expect(onGrid([{ x: 0, y: 2 }], 0, 2)).toEqual([2, Number.NaN]);
    expect(onGrid([], 5, 2)).toEqual([Number.NaN, Number.NaN]);
  });
});

describe('curves of runs', () => {
  const run: RunCurve = {
    name: 'a',
    history: [
      { step: 1, tokens: 10, seconds: 2, loss: 5, validationLoss: undefined },
      { step: 2, tokens: 20, seconds: 4, loss: Number.NaN, validationLoss: 4 },
    ],
  };

  it('go over tokens or time, without what is no number', () => {
    expect(curvePoints(run, 'tokens', 'loss')).toEqual([{ x: 10, y: 5 }]);
    expect(curvePoints(run, 'time', 'validationLoss')).toEqual([{ x: 4, y: 4 }]);
  });

  it('have a chart of what is held out where something was measured', () => {
    expect(runCharts([run], 'time').map(({ title }) => title)).toEqual([
      'loss of training',
      'loss of the held-out text',
    ]);
    const unmeasured = { ...run, history: run.history.slice(0, 1) };
    expect(runCharts([unmeasured], 'time').map(({ title }) => title)).toEqual(['loss of training']);
  });
});
