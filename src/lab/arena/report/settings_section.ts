import { formatCount, formatDuration, formatInteger } from '../../../format.ts';
import type { CellRecord } from '../records.ts';
import type { Arena } from './arena.ts';
import { count, formatChange, formatScore, messageOf } from './format.ts';
import { type Section, table, text } from './section.ts';
import { figures, type TableRow, words } from './table.ts';

type Settings = CellRecord['settings'];

/** Every run with its exact settings; those that many runs share are said once. */
export function settingsSection(arena: Arena): Section {
  const { records, tasks, contestants } = arena;
  const shared = commonSettings(records);
  const engines = [...new Set(records.map(({ engine }) => engine))];
  const rows = tasks.flatMap((task): TableRow[] => {
    const cells = contestants.map((contestant) => arena.cell(task, contestant));
    const runs = cells.flatMap(({ runs }) => runs);
    const ofTask = without(commonSettings(runs), shared);
    const heading = [task.title, settingsText(ofTask)].filter(Boolean).join(': ');
    return cells.flatMap(({ contestant, runs: ofCell }) =>
      ofCell
        .toSorted((a, b) => a.seed - b.seed)
        .map((run) => ({
          heading: run === firstShown(cells) ? heading : undefined,
          cells: [
            contestant.title,
            String(run.seed),
            run.status === 'done' ? 'done' : messageOf(run),
            run.parameters > 0 ? formatInteger(run.parameters) : '–',
            run.parameters > 0 ? formatChange(run.parameters / run.budget - 1) : '–',
            formatInteger(run.steps),
            formatCount(run.tokens),
            formatDuration(run.trainSeconds),
            run.scaledAccuracy === undefined ? '' : formatScore(run.scaledAccuracy, 3),
            [
              settingsText(without(without(run.settings, shared), ofTask)),
              engines.length > 1 ? `engine ${run.engine}` : '',
            ]
              .filter(Boolean)
              .join(', '),
          ],
        })),
    );
  });
  const common = settingsText(shared);
  return {
    id: 'settings',
    title: 'Settings, sizes, seeds and times',
    blocks: [
      text(`${engines.length > 1 ? 'Engines' : 'Engine'}: ${engines.join('; ')}.`),
      ...(common
        ? [
            text(
              `The same in ${records.length > 1 ? `all ${count(records.length, 'run')}` : 'the one run'}: ${common}.`,
            ),
          ]
        : []),
      table({
        title: 'Every run; settings that all runs of a task share stand beside its name',
        columns: [
          words('model'),
          figures('seed'),
          words('status'),
          figures('parameters'),
          figures('off budget'),
          figures('steps'),
          figures('tokens'),
          figures('time'),
          figures('score'),
          words('settings of its own'),
        ],
        rows,
        look: 'dense',
      }),
    ],
  };
}

function firstShown(cells: readonly { readonly runs: readonly CellRecord[] }[]): CellRecord | undefined {
  const runs = cells.find(({ runs }) => runs.length > 0)?.runs ?? [];
  return runs.toSorted((a, b) => a.seed - b.seed)[0];
}

/** What all of the runs have and have alike. */
export function commonSettings(runs: readonly CellRecord[]): Settings {
  if (runs.length === 0) return {};
  const [first, ...others] = runs;
  return Object.fromEntries(
    Object.entries(first.settings).filter(([name, value]) =>
      others.every(({ settings }) => settings[name] === value),
    ),
  );
}

const without = (settings: Settings, said: Settings): Settings =>
  Object.fromEntries(Object.entries(settings).filter(([name]) => !Object.hasOwn(said, name)));

const settingsText = (settings: Settings): string =>
  Object.entries(settings)
    .map(([name, value]) => `${name} ${value}`)
    .join(', ');
