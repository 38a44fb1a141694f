import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { checkpointFolder } from '../checkpoints/checkpoint.ts';
import { XlstmError } from '../errors.ts';
import { type LanguageModelConfig, parseConfig } from '../xlstm/config.ts';

/** The configuration of a checkpoint, of a run, or in a file of its own. */
export async function readModelConfig(
  path: string,
): Promise<{ readonly config: LanguageModelConfig; readonly source: string }> {
  const found = await stat(path).catch(() => undefined);
  if (!found) {
    throw new XlstmError(
      'config',
      `${path}: there is no such file or folder`,
      'Give a checkpoint, the folder of a run, or a config.json.',
    );
  }
  const source = found.isDirectory() ? join(await checkpointFolder(path), 'config.json') : path;
  let json: unknown;
  try {
    json = JSON.parse(await readFile(source, 'utf8'));
  } catch (error) {
    throw new XlstmError('config', `${source}: cannot be read as JSON (${(error as Error).message})`);
  }
  return { config: parseConfig(json, source), source };
}
