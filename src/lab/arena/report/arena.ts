import { taskByName, tasks } from '../../tasks/registry.ts';
import type { LengthRange, Task } from '../../tasks/task.ts';
import type { CellRecord } from '../records.ts';
import { type Contestant, contestantsOf } from './appearance.ts';

/** The groups of the paper's Figure 4 in its order, then those it does not have. */
const GROUPS = [
  'context-sensitive',
  'context-free',
  'regular',
  'counting',
  'state tracking',
  'recall',
  'other',
] as const;

export interface ArenaTask {
  readonly name: string;
  readonly title: string;
  readonly group: (typeof GROUPS)[number];
  /** What is measured. */
  readonly kind: 'score' | 'text' | 'cost';
  /** Lengths of training, or the positions that training saw. */
  readonly trained: LengthRange | undefined;
}

/** All runs of a model at a task: seeds, perhaps with different settings. */
export interface Cell {
  readonly task: ArenaTask;
  readonly contestant: Contestant;
  readonly runs: readonly CellRecord[];
  /** The finished run of the highest score, or of the lowest loss where there are no scores. */
  readonly best: CellRecord | undefined;
  /** Scaled accuracy of the finished runs. */
  readonly scores: readonly number[];
  readonly diverged: number;
  readonly failed: number;
}

export interface Arena {
  readonly records: readonly CellRecord[];
  readonly tasks: readonly ArenaTask[];
  readonly contestants: readonly Contestant[];
  cell(task: ArenaTask, contestant: Contestant): Cell;
  ofKind(kind: ArenaTask['kind']): ArenaTask[];
}

export function arenaOf(given: readonly CellRecord[]): Arena {
  const records = given.map(withNumbersOnly);
  const names = [...new Set(records.map(({ task }) => task))];
  const described = names.map((name) => describeTask(records.filter(({ task }) => task === name)));
  const found = described.map((task) => ({ ...task, title: uniqueTitle(task, described) }));
  const place = new Map(tasks.map(({ name }, k) => [name, k]));
  const rank = ({ name, group }: ArenaTask): number =>
    GROUPS.indexOf(group) * 1000 + (place.get(baseName(name)) ?? 999);
  const ordered = found.sort((a, b) => rank(a) - rank(b));
  const contestants = contestantsOf(records.map(({ model }) => model));
  return {
    records,
    tasks: ordered,
    contestants,
    cell: (task, contestant) =>
      cellOf(
        task,
        contestant,
        records.filter(({ task: name, model }) => name === task.name && model === contestant.model),
      ),
    ofKind: (kind) => ordered.filter((task) => task.kind === kind),
  };
}

/** Without points that are no number, which are null after a way through JSON; a table has a dash there. */
function withNumbersOnly(record: CellRecord): CellRecord {
  const { curve, accuracy, text, scaledAccuracy } = record;
  return {
    ...record,
    curve: curve.filter(({ loss }) => Number.isFinite(loss)),
    accuracy: accuracy?.filter(({ scaled }) => Number.isFinite(scaled)),
    text: text?.filter(({ loss }) => Number.isFinite(loss)),
    scaledAccuracy: Number.isFinite(scaledAccuracy) ? scaledAccuracy : undefined,
  };
}

/** Recall in two sizes may have one title: the name then tells them apart. */
const uniqueTitle = ({ name, title }: ArenaTask, all: readonly ArenaTask[]): string =>
  all.some((other) => other.name !== name && other.title === title) ? `${title}, ${name}` : title;

/** mqar[128,8] is a kind of mqar. */
const baseName = (name: string): string => name.replace(/\[.*$/, '');

function describeTask(runs: readonly CellRecord[]): ArenaTask {
  const { task: name, taskTitle: title } = runs[0];
  const definition = definitionOf(name);
  const isA = (kind: 'text' | 'cost'): boolean =>
    !definition && (runs.some((run) => run[kind]) || name.split(/[^a-z]/)[0] === kind);
  const kind = isA('text') ? 'text' : isA('cost') ? 'cost' : 'score';
  const trained = definition && trainedLengths(definition);
  return { name, title, group: definition?.group ?? 'other', kind, trained };
}

function definitionOf(name: string): Task | undefined {
  return /^mqar\[/.test(name) ? taskByName(name) : tasks.find((task) => task.name === name);
}

/** Where every prefix is asked, training to a length is training at all positions before it. */
const trainedLengths = ({ running, trainLengths }: Task): LengthRange =>
  running ? [1, trainLengths[1]] : trainLengths;

function cellOf(task: ArenaTask, contestant: Contestant, runs: readonly CellRecord[]): Cell {
  const done = runs.filter(({ status }) => status === 'done');
  return {
    task,
    contestant,
    runs,
    best: done.toSorted((a, b) => merit(b) - merit(a))[0],
    scores: done.flatMap(({ scaledAccuracy }) => (scaledAccuracy === undefined ? [] : [scaledAccuracy])),
    diverged: runs.filter(({ status }) => status === 'diverged').length,
    failed: runs.filter(({ status }) => status === 'failed').length,
  };
}

function merit({ scaledAccuracy, text, curve }: CellRecord): number {
  if (scaledAccuracy !== undefined) return scaledAccuracy;
  const loss = text?.[0]?.loss ?? curve.at(-1)?.loss;
  return loss === undefined ? Number.NEGATIVE_INFINITY : -loss;
}

export const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
