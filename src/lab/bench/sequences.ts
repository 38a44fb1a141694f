import type { Engine } from '../../compute/engines/engine.ts';
import { Random } from '../../random.ts';
import { sequenceObjective } from '../../sequences/objective.ts';
import { SequenceModel } from '../../sequences/sequence_model.ts';
import { squaredError } from '../../training/losses.ts';
import { Trainer } from '../../training/trainer.ts';
import { measure, type Spread, spread } from './statistics.ts';

export interface SequencesShape {
  /** As in `SequenceModel.create`. */
  readonly blocks: string;
  readonly inputs: number;
  readonly dim: number;
  readonly depth: number;
  readonly batch: number;
  readonly length: number;
}

/** Steps of sequences that a model of numbers trains on in a second: one output for each step, squared error. */
export async function benchSequences(
  engine: Engine,
  { batch, length, ...model }: SequencesShape,
  { steps, repeats }: { readonly steps: number; readonly repeats: number },
): Promise<Spread> {
  using subject = await SequenceModel.create({ engine, ...model, outputs: 1 });
  const objective = sequenceObjective(squaredError, false);
  using trainer = new Trainer(subject.model, { batchSize: batch, length, objective });
  const random = new Random(1);
  const numbers = (count: number): Float32Array =>
    Float32Array.from({ length: count }, () => random.normal());
  const data = {
    x: numbers(batch * length * model.inputs),
    targets: numbers(batch * length),
    weights: new Float32Array(batch * length).fill(1),
  };
  const run = async (): Promise<void> => {
    for (let i = 0; i < steps; i++) await trainer.step([data], 1e-3);
  };
  return spread((await measure(run, repeats)).map((seconds) => (steps * batch * length) / seconds));
}
