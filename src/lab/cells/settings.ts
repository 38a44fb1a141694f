import { join } from 'node:path';
import * as v from 'valibot';
import { writeFileAtomic } from '../../checkpoints/files.ts';
import { readJsonFile } from '../../checkpoints/json_file.ts';
import { XlstmError } from '../../errors.ts';
import { oneLine, quote } from '../../quote.ts';

/** What settings have to be in every part that is read. */
export type SettingsSchema<T> = v.GenericSchema<unknown, T>;

/** The settings of a folder as the schema has them; throws a data error that names the first part that is not so. */
export function checkedSettings<T>(folder: string, settings: object, schema: SettingsSchema<T>): T {
  const { success, output, issues } = v.safeParse(schema, settings, { abortEarly: true });
  if (success) return output;
  const [issue] = issues;
  throw new XlstmError(
    'data',
    `${join(folder, 'settings.json')}: ${oneLine(v.getDotPath(issue) ?? 'settings')}: expected ${oneLine(issue.expected ?? issue.message)}, found ${quote(issue.input)}`,
    'The file was changed, or is of another version: leave the folder out.',
  );
}

/** The settings in a folder, as a run wrote them; undefined where none did. */
export async function readSettings<T extends object>(folder: string): Promise<Partial<T> | undefined> {
  const path = join(folder, 'settings.json');
  const settings = await readJsonFile(path, 'data');
  if (settings === undefined || (typeof settings === 'object' && settings !== null)) return settings;
  throw new XlstmError(
    'data',
    `${path}: expected the settings of an arena, found ${quote(settings)}`,
    'Choose another folder with --out.',
  );
}

/**
 * Writes a run's settings; throws where the folder holds results of a run in which one of those that all cells of a
 * folder have in `common` was another.
 */
export async function keepSettings<T extends object>(
  folder: string,
  settings: T,
  common: readonly (keyof T & string)[],
): Promise<void> {
  const before = await readSettings<T>(folder);
  for (const key of before ? common : []) {
    const [found, wanted] = [JSON.stringify(before?.[key]), JSON.stringify(settings[key])];
    if (found !== wanted) {
      throw new XlstmError(
        'data',
        `${folder} holds results with ${key} ${found ?? 'not set'}, this run has ${wanted ?? 'none'}`,
        'Use the same settings to go on with it, or choose another folder with --out.',
      );
    }
  }
  await writeFileAtomic(join(folder, 'settings.json'), `${JSON.stringify(settings, null, 2)}\n`);
}
