import type { Engine } from '../../compute/engines/engine.ts';
import { Model } from '../../nn/model.ts';
import { machineInWords } from '../cells/machine.ts';
import type { StudySpec } from './cell.ts';
import { type StudyConfig, type StudyModelName, studyModels } from './models.ts';
import type { StudyRecord } from './records.ts';

/** A model of the study with new parameters. */
export const createStudyModel = (
  engine: Engine,
  name: StudyModelName,
  config: StudyConfig,
  seed: number,
): Model => Model.create(engine, (scope) => studyModels[name].build(scope, config), seed);

/** The part of a record that is known before its cell runs. */
export function studyHead(
  { cell, config, parameters, embeddingParameters, learningRate, jobs, code, digest }: StudySpec,
  engine: string,
): Omit<
  StudyRecord,
  'status' | 'steps' | 'tokens' | 'flops' | 'seconds' | 'cpuSeconds' | 'wallSeconds' | 'curve'
> {
  return {
    ...cell,
    parameters,
    embeddingParameters,
    config: { ...config },
    learningRate,
    jobs,
    engine,
    machine: machineInWords(),
    code,
    digest,
  };
}
