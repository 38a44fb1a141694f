import { stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { loadTokenizer } from '../checkpoints/checkpoint_folder.ts';
import { readJsonFile } from '../checkpoints/json_file.ts';
import type { Tokenizer } from '../data/tokenizer.ts';
import { readTokenizer } from '../data/tokenizer_files.ts';
import { XlstmError } from '../errors.ts';

/** The tokenizer of a model (a run, a checkpoint), or the one that a tokenizer.json describes. */
export async function openTokenizer(path: string): Promise<Tokenizer> {
  const isFile = await stat(path).then(
    (found) => !found.isDirectory(),
    () => false,
  );
  if (!isFile) return loadTokenizer(path);
  const files = new Map([['tokenizer.json', await readJsonFile(path, 'config')]]);
  const config = await readJsonFile(join(dirname(path), 'tokenizer_config.json'), 'config');
  if (config !== undefined) files.set('tokenizer_config.json', config);
  const tokenizer = await readTokenizer(files, join(dirname(path), '/'));
  if (tokenizer) return tokenizer;
  throw new XlstmError(
    'config',
    `${path}: there is no such file`,
    "Give a model, or a tokenizer's tokenizer.json.",
  );
}
