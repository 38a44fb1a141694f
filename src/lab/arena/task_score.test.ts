import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Engine } from '../../compute/engines/engine.ts';
import { createWasmEngine } from '../../compute/engines/wasm/engine.ts';
import { contestants } from '../../models/baselines/contestants.ts';
import { sizedTo } from '../../models/baselines/sizing.ts';
import { Model } from '../../nn/model.ts';
import type { TaskBatch } from '../tasks/batch.ts';
import { tasks } from '../tasks/registry.ts';
import type { Task } from '../tasks/task.ts';
import { TaskEvaluator } from './task_score.ts';

/** Answers as `answer` says, without running the model. */
class Answering extends TaskEvaluator {
  answer: (targets: Int32Array) => Int32Array = (targets) => targets;

  override predict({ targets }: TaskBatch): Promise<Int32Array> {
    return Promise.resolve(this.answer(targets));
  }
}

let engine: Engine;
beforeAll(async () => {
  engine = await createWasmEngine({ threads: 1 });
});
afterAll(() => engine.close());

function evaluatorOf(task: Task): Answering {
  const { config } = sizedTo('elman', 20_000, { vocabSize: task.vocabSize });
  const model = Model.create(engine, (scope) => contestants.elman.build(scope, config), 1);
  return new Answering(model, task, 4);
}

describe.each(tasks)('the score at $name', (task) => {
  it('is 1 for right answers and below chance for wrong ones, at every length that is told', async () => {
    const evaluator = evaluatorOf(task);
    const right = await evaluator.run(1, 40);
    expect(right.scaledAccuracy).toBe(1);
    for (const { accuracy, scaled, count } of right.accuracy) {
      expect([accuracy, scaled]).toEqual([1, 1]);
      expect(count).toBeGreaterThan(0);
    }
    evaluator.answer = (targets) => targets.map((target) => (target < 0 ? target : target + 1));
    const wrong = await evaluator.run(1, 40);
    expect(wrong.scaledAccuracy).toBeLessThanOrEqual(0);
    expect(wrong.accuracy.every(({ accuracy }) => accuracy === 0)).toBe(true);
  });
});
