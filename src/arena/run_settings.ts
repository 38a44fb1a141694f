import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeFileAtomic } from '../checkpoints/files.ts';
import { XlstmError } from '../errors.ts';
import type { ArenaOptions } from './arena.ts';

/** What all cells of a folder have in common: results of other settings would not stand side by side. */
const COMMON = [
  'budget',
  'quick',
  'data',
  'learningRate',
  'steps',
  'engine',
] as const satisfies (keyof ArenaOptions)[];

/** Writes the run's settings; throws where the folder holds results of a run with others. */
export async function keepSettings(folder: string, options: ArenaOptions): Promise<void> {
  const path = join(folder, 'settings.json');
  const before = readSettings(path);
  for (const key of before ? COMMON : []) {
    const [found, wanted] = [JSON.stringify(before?.[key]), JSON.stringify(options[key])];
    if (found !== wanted) {
      throw new XlstmError(
        'data',
        `${folder} holds results with ${key} ${found ?? 'not set'}, this run has ${wanted ?? 'none'}`,
        'Use the same settings to go on with it, or choose another folder with --out.',
      );
    }
  }
  await writeFileAtomic(path, `${JSON.stringify(options, null, 2)}\n`);
}

function readSettings(path: string): Partial<ArenaOptions> | undefined {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new XlstmError('data', `${path}: cannot be read (${(error as Error).message})`);
  }
  try {
    return JSON.parse(text) as Partial<ArenaOptions>;
  } catch {
    throw new XlstmError(
      'data',
      `${path}: expected the settings of an arena as JSON`,
      'Choose another folder with --out.',
    );
  }
}
