import type { Engine } from '../compute/engines/engine.ts';
import type { PackedFormat } from '../compute/program/constants.ts';
import { parseJson } from '../json.ts';
import type { Bytes } from './bytes.ts';
import { decodeCheckpoint, type LoadedModel, limitsOf } from './checkpoint.ts';
import type { ModelFiles } from './model_source.ts';
import { weightsIn, weightsOf } from './weight_files.ts';

/** Of the files that are there those that a model is made of. */
export const modelFilesIn = (present: readonly string[]): readonly string[] => [
  'config.json',
  'tokenizer.json',
  ...weightsIn(present),
];

/**
 * The model that the files hold, its weights those of the file named, packed where a format says so. Throws a checkpoint or config error that names the
 * file.
 */
export async function decodeModelFiles(
  engine: Engine,
  files: ModelFiles,
  weightsName?: string,
  packing?: PackedFormat,
): Promise<LoadedModel> {
  const { place, names } = files;
  const config = await readJson(files, 'config.json');
  const tokenizer = names.includes('tokenizer.json') ? await readJson(files, 'tokenizer.json') : undefined;
  const weights = new Map<string, Bytes>();
  for (const name of weightsName === undefined ? await weightsOf(files) : [weightsName]) {
    weights.set(name, await (files.open ?? files.read)(name));
  }
  return decodeCheckpoint(engine, { config, tokenizer, weights, ...(packing && { packing }) }, place);
}

/** The content of a JSON file of a checkpoint, as parsed. */
export async function readJson(files: ModelFiles, name: string): Promise<unknown> {
  return parseJson(await files.read(name), `${files.place}${name}`, 'checkpoint', limitsOf(name));
}
