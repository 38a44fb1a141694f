import { existsSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Engine } from '../compute/engines/engine.ts';
import type { Precision } from '../compute/graph/plan.ts';
import type { PackedFormat } from '../compute/program/constants.ts';
import type { Tokenizer } from '../data/tokenizer.ts';
import { TOKENIZER_FILES } from '../data/tokenizer_files.ts';
import { XlstmError } from '../errors.ts';
import { readDesign } from '../models/registry.ts';
import type { Adapter } from '../nn/adapter.ts';
import type { LanguageModel } from '../nn/layer.ts';
import { checkFit, type Model, takesTokens } from '../nn/model.ts';
import { Parameters, Scope } from '../nn/parameters.ts';
import { quote } from '../quote.ts';
import {
  ADAPTER_CONFIG,
  ADAPTER_FILES,
  adapterConfigIn,
  adapterIn,
  type GivenAdapter,
} from './adapter_files.ts';
import {
  CHECKPOINT_FILES,
  type Checkpoint,
  type CheckpointFiles,
  checkpointFiles,
  decodeTensors,
  type LoadedModel,
  type OpenCheckpoint,
  type TrainingState,
} from './checkpoint.ts';
import { parseConfigYaml, parseYaml } from './config_yaml.ts';
import { replaceFolder } from './files.ts';
import { cachedModel, parseHubName } from './hub/cache.ts';
import {
  CONFIGS,
  type DecodeOptions,
  decodeModelFiles,
  decodeTokenizer,
  isLightning,
  modelFilesIn,
  openModelFiles,
  readConfig,
  readJson,
} from './model_files.ts';
import { writeFolder } from './new_folder.ts';
import { type FolderFiles, readFolder } from './read_folder.ts';
import { weightsIn } from './weight_files.ts';

/** Writes a checkpoint of a run, whose folder is ours: whatever else lies in it stays. */
export const writeCheckpoint = (path: string, files: CheckpointFiles): Promise<void> =>
  replaceFolder(path, files, { owned: CHECKPOINT_FILES, ours: true });

/**
 * Writes a checkpoint as a whole: a folder that is made or, if it holds a checkpoint, replaced. Other files in it stay;
 * a folder that holds other files and no checkpoint is refused. Throws a usage error where the model or the tokenizer
 * could not be loaded again, a checkpoint error where the folder cannot be written; what was there before then stays.
 */
export async function saveCheckpoint(path: string, checkpoint: Checkpoint): Promise<void> {
  const files = await checkpointFiles(checkpoint);
  await writeFolder(path, files, { owned: CHECKPOINT_FILES });
}

/**
 * Reads the model of a checkpoint folder, or of the folder of a run, whose checkpoint is in `checkpoint/`; or of a file
 * of weights, whose `config.json` and tokenizer lie beside it. Changes nothing, and finds a whole checkpoint also
 * beside a process that trains and after one that was killed. Throws a checkpoint or config error that names the file for
 * what is missing, damaged or not right. A folder of an adapter is that over its base, the model at the path that it names.
 */
export const loadCheckpoint = (
  engine: Engine,
  path: string,
  options: CheckpointOptions = {},
): Promise<LoadedModel> =>
  readModel(path, (files, weightsName) => decodeFolder(engine, files, { ...options, weightsName }));

/**
 * Runs something on a model as it lies in the files of a path that `loadCheckpoint` takes, which are open as long. Throws as
 * it does.
 */
export const withCheckpoint = <T>(
  path: string,
  run: (checkpoint: OpenCheckpoint) => Promise<T>,
  packing?: PackedFormat,
): Promise<T> =>
  readModel(path, async (files, weightsName) => {
    const adapter = await adapterConfigIn(files);
    if (adapter) throw noModel(adapter, 'cannot be written in another form');
    return run(await openModelFiles(files, { weightsName, packing }));
  });

/**
 * Throws a checkpoint error, as `loadCheckpoint` does, where weights in a folder are missing, damaged or not those of its
 * configuration; of an adapter, also where those of its base are. None of their numbers is read. A configuration without
 * weights is right.
 */
export const checkWeights = (path: string): Promise<void> =>
  readModel(path, async (files) => {
    const adapter = await adapterIn(files);
    if (adapter) return checkWeights(await baseOf(adapter.adapter));
    if (weightsIn(files.names).length === 0) return;
    const { design, tensors, weightsSource } = await openModelFiles(files);
    const parameters = new Parameters(design.packing);
    design.build(new Scope(parameters));
    checkFit(parameters.list, tensors, weightsSource);
  });

/** Runs something on the files of a model: of a folder, or beside the file of weights that is named then. */
async function readModel<T>(
  path: string,
  run: (files: FolderFiles, weights?: string) => Promise<T>,
): Promise<T> {
  const isFile = (await stat(path).catch(() => undefined))?.isFile();
  if (!isFile) return readCheckpoint(path, modelFilesIn, (files) => run(files));
  const [folder, name] = [dirname(path), basename(path)];
  return readCheckpoint(
    path,
    () => [...CONFIGS, ...TOKENIZER_FILES, name],
    (files) => run(files, name),
    [folder],
  );
}

/** What a checkpoint is read as. */
export interface CheckpointOptions {
  /**
   * The matrices are packed one after another as they are read: there is never more than one of them as float32. A model
   * whose weights are packed already is refused. Left out: they stay as they are.
   */
  readonly packing?: PackedFormat | undefined;
  /** What matrices are multiplied in; with bf16 they are rounded as they are read, and the model is for use alone. Default: f32. */
  readonly precision?: Precision | undefined;
  /** Low-rank matrices beside the model's. Left out: those of the folder, where it is one of an adapter. */
  readonly adapter?: GivenAdapter | undefined;
}

/** The model in a folder; of an adapter it is its base with it. */
async function decodeFolder(
  engine: Engine,
  files: FolderFiles,
  options: DecodeOptions = {},
): Promise<LoadedModel> {
  const adapter = await adapterIn(files);
  if (!adapter) return decodeModelFiles(engine, files, options);
  if (options.packing) throw noModel(adapter.adapter, 'cannot be made smaller');
  if (options.adapter) throw noModel(adapter.adapter, 'cannot have adapters itself');
  return loadCheckpoint(engine, await baseOf(adapter.adapter), { adapter, precision: options.precision });
}

const noModel = ({ source }: Adapter, problem: string): XlstmError =>
  new XlstmError(
    'checkpoint',
    `${source}: expected a model, found an adapter, which ${problem}`,
    'Make a model of it and its base first: xlstm merge.',
  );

/** Where the model of an adapter lies. */
async function baseOf({ base, source }: Adapter): Promise<string> {
  if (base !== '' && (await stat(base).catch(() => undefined))) return base;
  throw new XlstmError(
    'checkpoint',
    `${source}: base_model_name_or_path: expected the path of the model that the adapter belongs to, found ${base === '' ? 'none' : `${quote(base)}, where nothing is`}`,
    'Say where it is: xlstm generate BASE --adapter FOLDER, or correct the path in the file.',
  );
}

/** Reads the adapter in a folder or in that of a run. Throws a checkpoint error for what is missing, damaged or not right. */
export async function loadAdapter(path: string): Promise<GivenAdapter> {
  for (const folder of [path, join(path, 'checkpoint')]) {
    const found = await readFolder(folder, () => ADAPTER_FILES, adapterIn);
    if (found) return found;
  }
  throw new XlstmError(
    'checkpoint',
    `${path}: expected an adapter (${ADAPTER_FILES.join(', ')}), or the folder of a run with one; found none`,
    'Train one with "xlstm train --init MODEL --lora rank=8,alpha=16".',
  );
}

/** A model that reads and writes texts. */
export interface LoadedTextModel {
  /** On the engine that was given; to be freed by the caller. */
  readonly model: Model<LanguageModel>;
  /** The one that it was trained with. */
  readonly tokenizer: Tokenizer;
}

/** As `loadCheckpoint`, for texts: throws a checkpoint error where the model takes no tokens or has no tokenizer. */
export async function loadTextModel(
  engine: Engine,
  path: string,
  options: CheckpointOptions = {},
): Promise<LoadedTextModel> {
  return textModel(await loadCheckpoint(engine, path, options), path);
}

/** The model in the folder of a run, with what the run needs to go on from there. */
export const loadTraining = (
  engine: Engine,
  run: string,
): Promise<LoadedTextModel & { readonly training: TrainingState }> =>
  readCheckpoint(
    run,
    () => CHECKPOINT_FILES,
    async (files) => {
      const needed = ['training.json', 'optimizer.safetensors'];
      if (!files.names.includes(ADAPTER_CONFIG)) needed.unshift('tokenizer.json');
      for (const name of needed) {
        if (files.names.includes(name)) continue;
        throw new XlstmError(
          'checkpoint',
          `${files.folder}: the checkpoint holds a model, but no ${name}, without which its training cannot go on`,
        );
      }
      const loaded = textModel(await decodeFolder(engine, files), files.folder);
      const optimizer = join(files.folder, 'optimizer.safetensors');
      return {
        ...loaded,
        training: {
          progress: await readJson(files, 'training.json'),
          tensors: decodeTensors(await files.read('optimizer.safetensors'), optimizer),
        },
      };
    },
    [join(run, 'checkpoint')],
  );

/** The configuration of a model. */
export interface FoundConfigJson {
  /** As parsed. */
  readonly json: unknown;
  /** The file that it was found in. */
  readonly source: string;
  /** Where the folder is that of an adapter: its settings; the configuration is its base's. */
  readonly adapter?: Adapter;
}

/** The configuration in a checkpoint folder or the folder of a run. */
export const loadConfigJson = (path: string): Promise<FoundConfigJson> =>
  readCheckpoint(
    path,
    (present) => [...CONFIGS, ADAPTER_CONFIG, ...weightsIn(present).filter(isLightning)],
    async (files) => {
      const adapter = await adapterConfigIn(files);
      if (adapter) return { ...(await loadConfigJson(await baseOf(adapter))), adapter };
      const { json, name } = await readConfig(files);
      return { json, source: join(files.folder, name) };
    },
  );

/**
 * The tokenizer of a model, in a checkpoint folder or the folder of a run, as the model wants it. Rejects with a checkpoint
 * error where there is none.
 */
export const loadTokenizer = (path: string): Promise<Tokenizer> =>
  readCheckpoint(
    path,
    () => [...CONFIGS, ...TOKENIZER_FILES, ADAPTER_CONFIG],
    async (files) => {
      const adapter = await adapterConfigIn(files);
      if (adapter) return loadTokenizer(await baseOf(adapter));
      const { json, name } = await readConfig(files);
      const borders = readDesign(json, join(files.folder, name)).describe();
      const tokenizer = await decodeTokenizer(files, borders);
      if (tokenizer) return tokenizer;
      throw new XlstmError('checkpoint', `${files.folder}: there is no tokenizer.json`, 'Put it there.');
    },
  );

/** Throws a checkpoint error where the model takes no tokens or has no tokenizer. */
export function textModel({ model, tokenizer }: LoadedModel, source: string): LoadedTextModel {
  if (!takesTokens(model)) {
    model.free();
    throw new XlstmError(
      'checkpoint',
      `${source}: expected a language model, found a model that takes no tokens: ${model.design?.describe().summary}`,
    );
  }
  if (tokenizer) return { model, tokenizer };
  model.free();
  throw new XlstmError(
    'checkpoint',
    `${source}: the model has no tokenizer (tokenizer.json), without which there is no text for its tokens`,
    model.network.vocabSize >= 256
      ? 'Put the tokenizer.json of the model beside its config.json; if its tokens are bytes: {"type": "byte", "specials": []}'
      : `Its ${model.network.vocabSize} tokens are no bytes: put Hugging Face's tokenizer.json beside its config.json, or what a tokenizer of your own is rebuilt from (registerTokenizer).`,
  );
}

const isConfig = (name: string): boolean => [...CONFIGS, ADAPTER_CONFIG].includes(name);

/** With the configuration of a YAML file where there is no config.json. */
function withYaml(files: FolderFiles): FolderFiles {
  const name = CONFIGS.find((each) => files.names.includes(each));
  if (name === undefined || name === 'config.json') return files;
  const parse = name === 'config.yaml' ? parseConfigYaml : parseYaml;
  const readConfig = async () => ({
    json: await parse(await files.read(name), join(files.folder, name)),
    name,
  });
  return { ...files, readConfig };
}

/** Runs something on files of the checkpoint at a path or in `checkpoint/` below it. */
async function readCheckpoint<T>(
  path: string,
  choose: (present: readonly string[]) => readonly string[],
  run: (files: FolderFiles) => Promise<T>,
  folders: readonly string[] = [path, join(path, 'checkpoint')],
): Promise<T> {
  for (const folder of folders) {
    const found = await readFolder(folder, choose, async (files) =>
      files.names.some((name) => isConfig(name) || isLightning(name))
        ? { result: await run(withYaml(files)) }
        : undefined,
    );
    if (found) return found.result;
  }
  const hubName = folders[0] === path && !existsSync(path) ? parseHubName(path) : undefined;
  const cached = hubName && (await cachedModel(hubName));
  if (cached) return readCheckpoint(cached, choose, run, [cached]);
  throw new XlstmError(
    'checkpoint',
    `${path}: expected a checkpoint (config.json or config.yaml, model.safetensors), a file of weights beside its config.json, or the folder of a run; found none of them`,
    hubName
      ? `Train one with "xlstm train", or give the path of its folder. If it is a model on a hub: xlstm download ${path}`
      : 'Train one with "xlstm train", or give the path of its folder.',
  );
}
