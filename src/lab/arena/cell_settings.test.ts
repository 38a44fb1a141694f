import { describe, expect, it } from 'vitest';
import { contestantNames } from '../../models/baselines/contestants.ts';
import { taskByName, tasks } from '../tasks/registry.ts';
import { taskSettings } from './cell_settings.ts';

describe('settings of a task', () => {
  it('take learning rates in turn by seed', () => {
    const rateOf = (seed: number): number =>
      taskSettings(taskByName('parity'), { model: 'mamba', seed, quick: false }).training.learningRate;
    expect(rateOf(1)).not.toBe(rateOf(2));
    expect(rateOf(3)).toBe(rateOf(1));
  });

  it("give sLSTM the paper's formal settings, at formal tasks only", () => {
    const layersOf = (task: string) =>
      taskSettings(taskByName(task), { model: 'xlstm[0:1]', seed: 1, quick: false }).model.layers;
    expect(layersOf('parity')?.slstm).toMatchObject({ conv1dKernelSize: 0, recurrentWeightInit: 'standard' });
    expect(layersOf('mqar')).toBeUndefined();
  });

  it('hold a window as long as the longest test', () => {
    for (const task of tasks) {
      for (const model of contestantNames) {
        const { contextLength } = taskSettings(task, { model, seed: 1, quick: true }).model;
        expect(contextLength).toBeGreaterThanOrEqual(task.testLengths[1]);
      }
    }
  });

  it('hold learned positions for what is trained, and no more', () => {
    for (const task of tasks) {
      const { positions } = taskSettings(task, { model: 'gpt', seed: 1, quick: false }).model;
      expect(positions).toBe(task.trainLengths[1]);
    }
  });

  it('are shorter for a quick run', () => {
    for (const task of tasks) {
      const steps = (quick: boolean): number =>
        taskSettings(task, { model: 'gru', seed: 1, quick }).training.steps;
      expect(steps(true)).toBeLessThan(steps(false));
    }
  });
});
