import { join } from 'node:path';
import { writeFileAtomic } from '../../checkpoints/files.ts';
import { readJsonFile } from '../../checkpoints/json_file.ts';
import { XlstmError } from '../../errors.ts';
import { quote } from '../../quote.ts';

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
