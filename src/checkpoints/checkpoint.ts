import type { Engine } from '../compute/engines/engine.ts';
import type { Precision } from '../compute/graph/plan.ts';
import type { PackedFormat } from '../compute/program/constants.ts';
import type { Tokenizer } from '../data/tokenizer.ts';
import { tokenizerFiles } from '../data/tokenizer_files.ts';
import { createTokenizer } from '../data/tokenizer_registry.ts';
import { XlstmError } from '../errors.ts';
import { DOCUMENT_LIMITS, type JsonLimits } from '../json.ts';
import { formatDesign, readDesign } from '../models/registry.ts';
import { Design } from '../nn/architecture.ts';
import { modelFingerprint } from '../nn/fingerprint.ts';
import { isLanguageModel, type Network } from '../nn/layer.ts';
import { Model } from '../nn/model.ts';
import { type NamedValues, Parameters, Scope } from '../nn/parameters.ts';
import { quote } from '../quote.ts';
import {
  ADAPTER_CONFIG,
  ADAPTER_FILES,
  ADAPTER_WEIGHTS,
  adapterMetadata,
  formatAdapter,
  type GivenAdapter,
} from './adapter_files.ts';
import { type Bytes, whole } from './bytes.ts';
import { configText } from './config_text.ts';
import { parseSafetensors, writeSafetensors } from './safetensors.ts';
import { numbersOf, type StoredTensor } from './stored_tensor.ts';
import { parseTorchFile } from './torch_file.ts';

/** What a training run needs to go on, beside the model. */
export interface TrainingState {
  /** Plain JSON, for the training run alone to read. */
  readonly progress: unknown;
  /** What `save` of its Trainer gave. */
  readonly tensors: ReadonlyMap<string, NamedValues>;
}

/**
 * What a checkpoint is made of. As a folder it has these files:
 *
 * - `config.json`: the architecture's name and the configuration; of an xLSTM the official layout, no name.
 * - `model.safetensors`: parameters by name; of an xLSTM the official names (sLSTM in the vanilla layout). Read where it
 *   is missing: several files as `transformers` writes them; `pytorch_model.bin`, or the only .pt, .pth or .ckpt, as PyTorch writes them.
 * - `tokenizer.json`, of a model of text: {"type": "byte", "specials": […]}, or what another kind is rebuilt from;
 *   or Hugging Face's, beside which `tokenizer_config.json` (and, read only, `special_tokens_map.json`) may lie.
 * - `training.json`, of one that can be trained on: steps, place in the data, options.
 * - `optimizer.safetensors`, with it: the optimizer's moments and the recurrent state between batches.
 *
 * Of a model with adapters `adapter_config.json` and `adapter_model.safetensors` take the place of configuration, weights
 * and tokenizer, which stay with the base.
 */
export interface Checkpoint {
  /** One of a design: what a function built cannot be saved. */
  readonly model: Model<Network>;
  /** Of a kind that is registered. Left out: the checkpoint has none. */
  readonly tokenizer?: Tokenizer;
  /** Left out: the checkpoint is for use alone. */
  readonly training?: TrainingState;
}

/** A model that was read, and what lay beside it. */
export interface LoadedModel {
  /** On the engine that was given; to be freed by the caller. */
  readonly model: Model<Network>;
  /** Undefined where the checkpoint has none, as those of the official package. */
  readonly tokenizer: Tokenizer | undefined;
}

/** The files that a checkpoint can have. */
export const CHECKPOINT_FILES = [
  'config.json',
  'tokenizer.json',
  'tokenizer_config.json',
  'model.safetensors',
  ...ADAPTER_FILES,
  'training.json',
  'optimizer.safetensors',
] as const;

/** The files of a checkpoint by name: copies, which later training does not change. */
export type CheckpointFiles = ReadonlyMap<string, Uint8Array | string>;

/** Vocabularies are long; everything else is short. */
export const limitsOf = (name: string): JsonLimits =>
  name.startsWith('tokenizer') ? { ...DOCUMENT_LIMITS, bytes: 2 ** 26 } : DOCUMENT_LIMITS;

/**
 * Throws a usage error where the model or the tokenizer could not be loaded again. Files of an earlier checkpoint, if
 * given, are written over: a long run stays in the same memory.
 */
export async function checkpointFiles(
  { model, tokenizer, training }: Checkpoint,
  earlier?: CheckpointFiles,
): Promise<CheckpointFiles> {
  const { design } = model;
  if (!design) {
    throw new XlstmError(
      'usage',
      'this model was made by a function, which no file can hold',
      'Make models that are saved with createModel; networks of your own after registerArchitecture.',
    );
  }
  const files = new Map<string, Uint8Array | string>();
  const addJson = (name: string, value: unknown): void => {
    files.set(name, json(name, value));
  };
  const addTensors = (name: string, tensors: ReadonlyMap<string, NamedValues>, metadata = {}): void => {
    files.set(name, pack(tensors, metadata, earlier?.get(name)));
  };
  const { own, added } = model.parameters;
  if (design.adapter) {
    addJson(ADAPTER_CONFIG, formatAdapter(model, design.adapter));
    const fingerprint = await modelFingerprint(model, own);
    addTensors(ADAPTER_WEIGHTS, await model.read(added), adapterMetadata(fingerprint));
  } else {
    const config = configText(formatDesign(design), design.architecture.decimals);
    files.set('config.json', checkedLength('config.json', config));
    if (tokenizer) for (const [name, content] of tokenizerFiles(tokenizer)) addJson(name, content);
    const parameters = await model.read();
    // Packed matrices are saved as they are.
    const tensors = design.packing === undefined ? design.architecture.tensors : undefined;
    addTensors('model.safetensors', tensors?.encode(parameters, design.config) ?? parameters, {
      format: 'pt',
    });
  }
  if (training) {
    addJson('training.json', training.progress);
    addTensors('optimizer.safetensors', training.tensors);
  }
  return files;
}

/** The files of a model as `decodeCheckpoint` takes them. */
export interface EncodedModel {
  /** The content of config.json, as parsed. */
  readonly config: unknown;
  /** What errors call the file that it was in. Default: config.json. */
  readonly configName?: string;
  /**
   * The content of tokenizer.json, as parsed; undefined where there is none. Or a tokenizer: Hugging Face's files take
   * `await SubwordTokenizer.create(json)`.
   */
  readonly tokenizer?: unknown;
  /**
   * The content of model.safetensors; or of one file or several by name, each holding some of the tensors: safetensors
   * where the name ends so, else files of PyTorch.
   */
  readonly weights: Uint8Array | ReadonlyMap<string, Bytes>;
  /** Matrices are packed as they are read. Left out: they stay as they are in the files. */
  readonly packing?: PackedFormat;
  /** What matrices are multiplied in; with bf16 they are rounded as they are read. Default: f32. */
  readonly precision?: Precision;
  /** Low-rank matrices beside those of the files. Left out: there are none. */
  readonly adapter?: Pick<GivenAdapter, 'adapter' | 'values'>;
}

/** A model in files: what is known of it before its weights are read. */
export interface OpenCheckpoint {
  readonly design: Design;
  readonly tokenizer: Tokenizer | undefined;
  /** The parameters, each read when it is asked for. */
  readonly tensors: ReadonlyMap<string, NamedValues>;
  /** Goes before the names of files in errors. */
  readonly source: string;
  /** What errors call the weights. */
  readonly weightsSource: string;
}

/**
 * Reads all but the weights of the files of a checkpoint. `source` goes before the names of the files in errors. Throws a
 * config error for a configuration or a tokenizer that is not right, a checkpoint error for weights that are damaged.
 */
export function openCheckpoint(
  { config, configName = 'config.json', tokenizer: given, weights: files, packing, precision }: EncodedModel,
  source = '',
): OpenCheckpoint {
  const configSource = `${source}${configName}`;
  const written = readDesign(config, configSource);
  const design =
    precision === 'bf16'
      ? rounded(written, configSource)
      : packing === undefined
        ? written
        : packed(written, packing, configSource);
  const tokenizer =
    given === undefined || isTokenizer(given) ? given : createTokenizer(given, `${source}tokenizer.json`);
  const byName: ReadonlyMap<string, Bytes> =
    files instanceof Uint8Array ? new Map([['model.safetensors', files]]) : files;
  const [first] = byName.keys();
  const weightsSource = `${source}${byName.size === 1 ? first : `${first} and ${byName.size - 1} more`}`;
  const stored = withoutPrefix(tensorsIn(byName, source), written);
  const tensors = written.packing === undefined ? written.architecture.tensors : undefined;
  return {
    design,
    tokenizer,
    tensors: tensors?.decode(stored, design.config, weightsSource) ?? stored,
    source,
    weightsSource,
  };
}

/**
 * Builds the model that the files of a checkpoint describe, wherever they came from. Throws as `openCheckpoint` does, and a
 * checkpoint error for weights or a tokenizer that do not fit the configuration.
 *
 * @param files Configuration, tokenizer and weights.
 */
export function decodeCheckpoint(engine: Engine, files: EncodedModel, source = ''): LoadedModel {
  const { design: plain, tokenizer, tensors, weightsSource } = openCheckpoint(files, source);
  const { architecture, config, packing, precision } = plain;
  const { adapter } = files;
  const design = adapter ? new Design(architecture, config, packing, adapter.adapter, precision) : plain;
  const model = Model.load(engine, design, tensors, weightsSource, adapter?.values);
  try {
    checkVocabulary(tokenizer, model.network, files.configName, source);
  } catch (error) {
    model.free();
    throw error;
  }
  return { model, tokenizer };
}

/** Throws a checkpoint error for a tokenizer that makes tokens which the network does not know. */
export function checkVocabulary(
  tokenizer: Tokenizer | undefined,
  network: Network,
  configName = 'config.json',
  source = '',
): void {
  if (!tokenizer || !isLanguageModel(network) || tokenizer.vocabSize <= network.vocabSize) return;
  throw new XlstmError(
    'checkpoint',
    `${source}tokenizer.json: the tokenizer makes ${tokenizer.vocabSize} tokens, the model in ${configName} knows ${network.vocabSize}`,
    'They must come from the same model.',
  );
}

const isTokenizer = (given: unknown): given is Tokenizer =>
  typeof (given as Partial<Tokenizer> | null)?.encode === 'function';

function packed(design: Design, packing: PackedFormat, source: string): Design {
  if (design.packing === undefined) return new Design(design.architecture, design.config, packing);
  throw new XlstmError(
    'checkpoint',
    `${source}: the weights are small already: ${design.packing}`,
    'Take the model that they were made from: each rounding adds its errors.',
  );
}

function rounded({ architecture, config, packing }: Design, source: string): Design {
  if (packing === undefined) return new Design(architecture, config, undefined, undefined, 'bf16');
  throw new XlstmError(
    'usage',
    `${source}: precision bf16: expected float32 weights, found small ones (${packing}), which are multiplied in float32`,
    'Use precision f32, or take the model that they were made from.',
  );
}

const json = (name: string, value: unknown): string =>
  checkedLength(name, `${JSON.stringify(value, null, 2)}\n`);

/** What is written can be read again. */
function checkedLength(name: string, text: string): string {
  const { bytes } = limitsOf(name);
  const found = new TextEncoder().encode(text).length;
  if (found <= bytes) return text;
  throw new XlstmError('usage', `${name}: expected at most ${bytes} bytes, found ${found}`);
}

function pack(
  tensors: ReadonlyMap<string, NamedValues>,
  metadata: Record<string, string>,
  earlier?: Uint8Array | string,
): Uint8Array {
  const entries = [...tensors].map(([name, { shape, values, integers }]) => {
    const data = integers?.() ?? (values instanceof Float32Array ? values : Float32Array.from(values));
    return [name, { shape, data }] as const;
  });
  return writeSafetensors(new Map(entries), metadata, typeof earlier === 'string' ? undefined : earlier);
}

/** The tensors of a safetensors file as float32; each is read when it is asked for, and kept. */
export const decodeTensors = (bytes: Uint8Array, source: string): Map<string, NamedValues> =>
  new Map(
    [...parseSafetensors(bytes, source).tensors].map(([name, tensor]) => [
      name,
      new ReadOnce(tensor, `${source}: tensor ${quote(name)}`),
    ]),
  );

/** The tensors of all files, each read when it is asked for and not kept: of a large model there is one at a time. */
function tensorsIn(files: ReadonlyMap<string, Bytes>, source: string): ReadonlyMap<string, NamedValues> {
  const all = new Map<string, NamedValues>();
  const fileOf = new Map<string, string>();
  for (const [file, bytes] of files) {
    const place = `${source}${file}`;
    const { tensors } = file.endsWith('.safetensors')
      ? parseSafetensors(bytes, place)
      : parseTorchFile(whole(bytes), place);
    for (const [name, tensor] of tensors) {
      const first = fileOf.get(name);
      if (first !== undefined) {
        throw new XlstmError(
          'checkpoint',
          `${place}: tensor ${quote(name)}: expected in one file, found in ${quote(first)} too`,
          'The files belong to several models, or one is there twice.',
        );
      }
      fileOf.set(name, file);
      all.set(name, new Stored(tensor, `${place}: tensor ${quote(name)}`));
    }
  }
  return all;
}

class Stored implements NamedValues {
  readonly #tensor: StoredTensor;
  readonly #at: string;
  readonly integers: (() => Int32Array) | undefined;

  constructor(tensor: StoredTensor, at: string) {
    this.#tensor = tensor;
    this.#at = at;
    this.integers = tensor.dtype === 'I32' ? () => tensor.readIntegers() : undefined;
  }

  get shape(): readonly number[] {
    return this.#tensor.shape;
  }

  get values(): Float32Array {
    return numbersOf(this.#tensor, this.#at);
  }

  slice(from: number, to: number): Float32Array {
    return numbersOf(this.#tensor, this.#at, from, to);
  }
}

class ReadOnce implements NamedValues {
  readonly #tensor: StoredTensor;
  readonly #at: string;
  #values: Float32Array | undefined;

  constructor(tensor: StoredTensor, at: string) {
    this.#tensor = tensor;
    this.#at = at;
  }

  get shape(): readonly number[] {
    return this.#tensor.shape;
  }

  get values(): Float32Array {
    this.#values ??= numbersOf(this.#tensor, this.#at);
    return this.#values;
  }
}

/**
 * Under the network's own names: what trained it may have held it by one of its own, such as Lightning's `model.`, which
 * then begins every name.
 */
function withoutPrefix(
  tensors: ReadonlyMap<string, NamedValues>,
  design: Design,
): ReadonlyMap<string, NamedValues> {
  let prefix = commonPrefix(tensors);
  if (!prefix) return tensors;
  const known = parameterNames(design);
  let named = tensors;
  for (; prefix; prefix = commonPrefix(named)) {
    for (const name of named.keys()) if (known.has(name)) return named;
    const { length } = prefix;
    named = new Map([...named].map(([name, tensor]) => [name.slice(length), tensor]));
  }
  return [...named.keys()].some((name) => known.has(name)) ? named : tensors;
}

/** `part.` where every name begins so. */
function commonPrefix(tensors: ReadonlyMap<string, unknown>): string | undefined {
  const [first = ''] = tensors.keys();
  const prefix = first.slice(0, first.indexOf('.') + 1);
  return [...tensors.keys()].every((name) => name.startsWith(prefix)) ? prefix : undefined;
}

function parameterNames(design: Design): ReadonlySet<string> {
  const parameters = new Parameters(design.packing);
  design.build(new Scope(parameters));
  return new Set(parameters.own.map(({ name }) => name));
}
