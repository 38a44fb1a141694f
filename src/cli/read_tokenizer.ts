import { stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { limitsOf } from '../checkpoints/checkpoint.ts';
import { loadTokenizer } from '../checkpoints/checkpoint_folder.ts';
import { readJsonFile } from '../checkpoints/json_file.ts';
import { SubwordTokenizer, subwordFiles } from '../data/subword/subword_tokenizer.ts';
import type { Tokenizer } from '../data/tokenizer.ts';
import { readTokenizer } from '../data/tokenizer_files.ts';
import { createTokenizer } from '../data/tokenizer_registry.ts';
import { XlstmError } from '../errors.ts';

const readContent = (path: string): Promise<unknown> =>
  readJsonFile(path, 'config', limitsOf('tokenizer.json'));

/** The tokenizer of a model (a run, a checkpoint), or the one that a tokenizer.json, by any name, describes. */
export async function openTokenizer(path: string): Promise<Tokenizer> {
  const isFile = await stat(path).then(
    (found) => !found.isDirectory(),
    () => path.endsWith('.json'),
  );
  // A checkpoint that a crash left under another name is found by the name it had.
  if (!isFile) return loadTokenizer(path);
  const json = await readContent(path);
  if (json === undefined) {
    throw new XlstmError(
      'config',
      `${path}: there is no such file`,
      "Give a model, or a tokenizer's tokenizer.json: xlstm tokenizer train writes one.",
    );
  }
  if (basename(path) === 'tokenizer.json') {
    const files = new Map([['tokenizer.json', json]]);
    const config = await readContent(join(dirname(path), 'tokenizer_config.json'));
    if (config !== undefined) files.set('tokenizer_config.json', config);
    const tokenizer = await readTokenizer(files, join(dirname(path), '/'));
    if (tokenizer) return tokenizer;
  }
  const subword = subwordFiles(json);
  return subword
    ? SubwordTokenizer.create(subword.tokenizer, { config: subword.config, source: path })
    : createTokenizer(json, path);
}
