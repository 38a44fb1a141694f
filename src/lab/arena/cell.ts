import type { Engine } from '../../compute/engines/engine.ts';
import { type ContestantName, contestants } from '../../models/baselines/contestants.ts';
import { type SizedContestant, sizedTo } from '../../models/baselines/sizing.ts';
import { Model } from '../../nn/model.ts';
import { taskByName } from '../tasks/registry.ts';
import type { CellSettings } from './cell_settings.ts';
import type { CellName, CellRecord } from './records.ts';
import type { CourseProgress } from './training.ts';

/** Tasks that are no formal task: language modelling, and the cost of reading and writing. */
export const TEXT = 'text';
export const COST = 'cost';

/** A cell to run, as it goes to the process that runs it: plain JSON. */
export interface CellSpec extends CellName {
  readonly model: ContestantName;
  readonly budget: number;
  readonly quick: boolean;
  /** Text files for the text task; absent: the State of the Union addresses. */
  readonly data?: readonly string[];
  /** Time for training. */
  readonly seconds: number;
  /** Replaces the learning rate of the settings. */
  readonly learningRate?: number;
  /** Replaces the number of steps of the settings. */
  readonly steps?: number;
  /** Replaces the part of the training in which sequences grow. */
  readonly curriculum?: number;
  readonly weightDecay?: number;
  /** Of xLSTM models: replace those settings of their sLSTM layers that the task has. */
  readonly slstm?: NonNullable<CellSettings['model']['layers']>['slstm'];
}

export const taskTitle = (task: string): string => {
  if (task === TEXT) return 'Text';
  return task === COST ? 'Cost' : taskByName(task).title;
};

/** Whether a cell measures time: it must not share the machine with others. */
export const measuresTime = ({ task }: CellName): boolean => task === COST;

/** The part of a record that is known before a cell runs. */
export type CellHead = Pick<
  CellRecord,
  'kind' | 'task' | 'taskTitle' | 'model' | 'seed' | 'parameters' | 'budget' | 'settings' | 'engine'
>;

export interface CellContext {
  readonly spec: CellSpec;
  readonly engine: Engine;
  readonly onProgress: (progress: CourseProgress) => void;
}

/** A model of the spec's kind with as many parameters as the budget says. */
export function sizeModel(
  { model, budget }: CellSpec,
  vocabSize: number,
  settings: CellSettings['model'],
): SizedContestant {
  return sizedTo(model, budget, { vocabSize, ...settings });
}

export const cellModel = ({ engine, spec }: CellContext, { config }: SizedContestant): Model =>
  Model.create(engine, (scope) => contestants[spec.model].build(scope, config), spec.seed);

/** What was asked for goes before the settings of the task. */
export function overridden<T extends CellSettings>(settings: T, spec: CellSpec): T {
  const { learningRate, steps, curriculum, weightDecay, slstm } = spec;
  const asked = Object.entries({ learningRate, steps, curriculum, weightDecay });
  const given = Object.fromEntries(asked.filter(([, value]) => value !== undefined));
  const { layers } = settings.model;
  const model = slstm
    ? { ...settings.model, layers: { ...layers, slstm: { ...layers?.slstm, ...slstm } } }
    : settings.model;
  return { ...settings, training: { ...settings.training, ...given }, model };
}

export function headOf(
  { spec, engine }: CellContext,
  { config, parameters }: SizedContestant,
  settings: Readonly<Record<string, unknown>>,
): CellHead {
  const { task, model, seed, budget } = spec;
  const { layers, ...sizes } = config;
  return {
    kind: 'cell',
    task,
    taskTitle: taskTitle(task),
    model,
    seed,
    parameters,
    budget,
    settings: flatten({ ...settings, ...sizes, ...layers }),
    engine: engine.description,
  };
}

/** Nested settings under names with dots; lists as text. */
function flatten(tree: Readonly<Record<string, unknown>>, prefix = ''): CellRecord['settings'] {
  const flat: CellRecord['settings'] = {};
  for (const [key, value] of Object.entries(tree)) {
    const name = `${prefix}${key}`;
    if (typeof value === 'number' || typeof value === 'string' || typeof value === 'boolean')
      flat[name] = value;
    else if (Array.isArray(value)) flat[name] = value.join(' ');
    else if (typeof value === 'object' && value !== null) {
      Object.assign(flat, flatten(value as Record<string, unknown>, `${name}.`));
    }
  }
  return flat;
}
