import type { Engine } from '../compute/engines/engine.ts';
import type { Precision } from '../compute/graph/plan.ts';
import type { PackedFormat } from '../compute/program/constants.ts';
import { requireKernel } from '../compute/program/limits.ts';
import type { Tokenizer } from '../data/tokenizer.ts';
import { readTokenizer, type TextBorders, TOKENIZER_FILES } from '../data/tokenizer_files.ts';
import { XlstmError } from '../errors.ts';
import { parseJson } from '../json.ts';
import { readDesign } from '../models/registry.ts';
import { modelFingerprint } from '../nn/fingerprint.ts';
import { ADAPTER_CONFIG, ADAPTER_FILES, type GivenAdapter, requireBase } from './adapter_files.ts';
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
import { parseTorchFile } from './torch_file.ts';
import { weightsIn, weightsOf } from './weight_files.ts';

/** Files that can hold the configuration: the first that is there does. The last one is the older form of TiRex-2's. */
export const CONFIGS = ['config.json', 'config.yaml', 'model-config.yaml'] as const;

/** Of the files that are there those that a model is made of, or an adapter. */
export const modelFilesIn = (present: readonly string[]): readonly string[] =>
  present.includes(ADAPTER_CONFIG) ? ADAPTER_FILES : [...CONFIGS, ...TOKENIZER_FILES, ...weightsIn(present)];

/** What files do not say of a model. */
export interface DecodeOptions {
  /** The file of weights. Left out: the one that is there, or all that hold parts of them. */
  readonly weightsName?: string | undefined;
  /** Matrices are packed as they are read. Left out: they stay as they are in the files. */
  readonly packing?: PackedFormat | undefined;
  /** What matrices are multiplied in; with bf16 they are rounded as they are read. Default: f32. */
  readonly precision?: Precision | undefined;
  /** Low-rank matrices beside those of the files. Left out: there are none. */
  readonly adapter?: GivenAdapter | undefined;
}

/**
 * The model that the files hold. Throws a checkpoint or config error that names the file, also for an adapter that was
 * trained over another model.
 */
export const decodeModelFiles = async (
  engine: Engine,
  files: ModelFiles,
  options: DecodeOptions = {},
): Promise<LoadedModel> => {
  if (options.precision === 'bf16') requireKernel('precision bf16', 'panelLinear', engine.limits);
  const loaded = decodeCheckpoint(engine, await encodedModel(files, options), files.place);
  const { model } = loaded;
  const { adapter } = options;
  try {
    if (adapter) {
      const found = await modelFingerprint(model, model.parameters.own);
      requireBase(adapter, found, files.place || 'the files');
    }
    return loaded;
  } catch (error) {
    model.free();
    throw error;
  }
};

/** The same as it lies in the files, without adapters. */
export const openModelFiles = async (
  files: ModelFiles,
  options: Omit<DecodeOptions, 'adapter'> = {},
): Promise<OpenCheckpoint> => openCheckpoint(await encodedModel(files, options), files.place);

async function encodedModel(
  files: ModelFiles,
  { weightsName, packing, precision, adapter }: DecodeOptions,
): Promise<EncodedModel> {
  const { place } = files;
  const { json: config, name: configName } = await readConfig(files);
  const tokenizer = await decodeTokenizer(files, readDesign(config, `${place}${configName}`).describe());
  const weights = new Map<string, Bytes>();
  for (const name of weightsName === undefined ? await weightsOf(files) : [weightsName]) {
    weights.set(name, await (files.open ?? files.read)(name));
  }
  return {
    ...{ config, configName, tokenizer, weights },
    ...(packing && { packing }),
    ...(precision && { precision }),
    ...(adapter && { adapter }),
  };
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

/** Files of Lightning that may hold a configuration beside the weights. */
export const isLightning = (name: string): boolean => name.endsWith('.ckpt');

/**
 * The configuration, as parsed, and the file that it is in: that of a .ckpt, if there is no other, is under
 * hyper_parameters.
 */
export async function readConfig(files: ModelFiles): Promise<FoundConfig> {
  const found = await files.readConfig?.();
  if (found) return found;
  const lightning = files.names.filter(isLightning);
  if (files.names.includes('config.json') || lightning.length !== 1)
    return { json: await readJson(files, 'config.json'), name: 'config.json' };
  const [name] = lightning;
  const source = `${files.place}${name}`;
  const { hyperParameters } = parseTorchFile(await files.read(name), source);
  if (hyperParameters) return { json: hyperParameters, name };
  throw new XlstmError(
    'checkpoint',
    `${source}: expected the model's configuration as hyper_parameters in it or as config.json beside it, found none`,
    'Put the config.json of the model beside it.',
  );
}

/** The content of a JSON file of a checkpoint, as parsed. */
export async function readJson(files: ModelFiles, name: string): Promise<unknown> {
  return parseJson(await files.read(name), `${files.place}${name}`, 'checkpoint', limitsOf(name));
}
