import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { XlstmError } from '../../errors.ts';
import { type RecordKind, readRecords } from './record_file.ts';
import { checkedSettings, readSettings, type SettingsSchema } from './settings.ts';

/** What several folders hold. */
export interface MergedFolders<Settings, Result> {
  /** Of each folder, in their order. */
  readonly settings: readonly Settings[];
  /** Of a cell that several folders have, the first that ended without an error. */
  readonly records: readonly Result[];
  /** Records that were left out, since another folder had their cell. */
  readonly repeated: number;
}

/**
 * Reads the results of several folders as one. Throws a data error, which names the setting, where folders were made with
 * different ones of those that all have in `common`, and where a folder has none or foreign ones.
 */
export async function readFolders<
  Settings extends object,
  Cell,
  Result extends Cell & { readonly status: string },
>(
  folders: readonly string[],
  kind: RecordKind<Cell, Result>,
  common: readonly (keyof Settings & string)[],
  schema: SettingsSchema<Settings>,
): Promise<MergedFolders<Settings, Result>> {
  const settings: Settings[] = [];
  const records = new Map<string, Result>();
  let repeated = 0;
  for (const folder of folders) {
    const found = checkedSettings(folder, await folderSettings(folder), schema);
    for (const key of common) {
      const [first, other] = [settings[0] ?? found, found].map((one) => JSON.stringify(one[key]));
      if (first === other) continue;
      throw new XlstmError(
        'data',
        `${key}: ${folders[0]} was made with ${first ?? 'none'}, ${folder} with ${other ?? 'none'}`,
        'Only results of the same settings and texts stand side by side: leave one of the folders out.',
      );
    }
    settings.push(found);
    for (const record of readRecords(join(folder, 'results.jsonl'), kind)) {
      const before = records.get(kind.key(record));
      if (before) repeated++;
      if (!before || (before.status === 'failed' && record.status !== 'failed')) {
        records.set(kind.key(record), record);
      }
    }
  }
  return { settings, records: [...records.values()], repeated };
}

/** Throws where there are none. */
export async function folderSettings(folder: string): Promise<object> {
  const settings = await readSettings(folder);
  if (settings) return settings;
  throw new XlstmError(
    'data',
    `${folder}: expected a folder with results of an arena, found no settings.json in it`,
    'Name the folders that were given with --out.',
  );
}

/** Throws where a folder has results already: merging adds to none. */
export async function checkEmpty(folder: string): Promise<void> {
  const path = join(folder, 'results.jsonl');
  if (!(await stat(path).catch(() => undefined))) return;
  throw new XlstmError('data', `${path}: expected no results yet, found some`, 'Choose a new folder.');
}

/** Records as the lines of results.jsonl. */
export const recordLines = (records: readonly object[]): string =>
  records.map((record) => `${JSON.stringify(record)}\n`).join('');
