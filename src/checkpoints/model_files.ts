import type { Engine } from '../compute/engines/engine.ts';
import type { PackedFormat } from '../compute/program/constants.ts';
import type { Tokenizer } from '../data/tokenizer.ts';
import { readTokenizer, type TextBorders, TOKENIZER_FILES } from '../data/tokenizer_files.ts';
import { parseJson } from '../json.ts';
import { readDesign } from '../models/registry.ts';
import type { Bytes } from './bytes.ts';
import {
  decodeCheckpoint,
  type EncodedModel,
  type LoadedModel,
  limitsOf,
  type OpenCheckpoint,
  openCheckpoint,
} from './checkpoint.ts';
import type { FoundConfig, ModelFiles } from './model_source.ts';
import { weightsIn, weightsOf } from './weight_files.ts';

/** Files that can hold the configuration: the first that is there does. */
export const CONFIGS = ['config.json', 'config.yaml'] as const;

/** Of the files that are there those that a model is made of. */
export const modelFilesIn = (present: readonly string[]): readonly string[] => [
  ...CONFIGS,
  ...TOKENIZER_FILES,
  ...weightsIn(present),
];

/**
 * The model that the files hold, its weights those of the file named, packed where a format says so. Throws a checkpoint
 * or config error that names the file.
 */
export const decodeModelFiles = async (
  engine: Engine,
  files: ModelFiles,
  weightsName?: string,
  packing?: PackedFormat,
): Promise<LoadedModel> =>
  decodeCheckpoint(engine, await encodedModel(files, weightsName, packing), files.place);

/** The same as it lies in the files. */
export const openModelFiles = async (
  files: ModelFiles,
  weightsName?: string,
  packing?: PackedFormat,
): Promise<OpenCheckpoint> => openCheckpoint(await encodedModel(files, weightsName, packing), files.place);

async function encodedModel(
  files: ModelFiles,
  weightsName?: string,
  packing?: PackedFormat,
): Promise<EncodedModel> {
  const { place } = files;
  const { json: config, name: configName } = await readConfig(files);
  const tokenizer = await decodeTokenizer(files, readDesign(config, `${place}${configName}`).describe());
  const weights = new Map<string, Bytes>();
  for (const name of weightsName === undefined ? await weightsOf(files) : [weightsName]) {
    weights.set(name, await (files.open ?? files.read)(name));
  }
  return { config, configName, tokenizer, weights, ...(packing && { packing }) };
}

/** The tokenizer that the files hold; undefined where there is none. Throws as `readTokenizer` does. */
export async function decodeTokenizer(
  files: ModelFiles,
  borders: TextBorders = {},
): Promise<Tokenizer | undefined> {
  const found = new Map<string, unknown>();
  for (const name of TOKENIZER_FILES) {
    if (!files.names.includes(name)) continue;
    found.set(name, name.endsWith('.json') ? await readJson(files, name) : await readText(files, name));
  }
  return readTokenizer(found, files.place, borders);
}

const readText = async (files: ModelFiles, name: string): Promise<string> =>
  new TextDecoder().decode(await files.read(name));

/** The configuration, as parsed, and the file that it is in. */
export const readConfig = async (files: ModelFiles): Promise<FoundConfig> =>
  (await files.readConfig?.()) ?? { json: await readJson(files, 'config.json'), name: 'config.json' };

/** The content of a JSON file of a checkpoint, as parsed. */
export async function readJson(files: ModelFiles, name: string): Promise<unknown> {
  return parseJson(await files.read(name), `${files.place}${name}`, 'checkpoint', limitsOf(name));
}
