import { mkdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { createTokenizer, type Tokenizer } from '../data/tokenizer.ts';
import type { Engine } from '../engine/engine.ts';
import { XlstmError } from '../errors.ts';
import { Model, type NamedValues } from '../nn/model.ts';
import { formatConfig, parseConfig } from '../xlstm/config.ts';
import { XlstmLanguageModel } from '../xlstm/language_model.ts';
import { recoverFolder, replaceFolder } from './files.ts';
import { parseSafetensors, writeSafetensors } from './safetensors.ts';

/**
 * A checkpoint is a folder:
 *   config.json            the model's configuration in the official layout
 *   model.safetensors      parameters under the official names (sLSTM in the vanilla layout)
 *   tokenizer.json         {"type": "byte", "specials": […]}
 *   training.json          where training stands: steps, place in the data, options
 *   optimizer.safetensors  the optimizer's moments and the recurrent state between batches
 * The last two are there only for a model that can be trained on.
 */
export interface TrainingState {
  /** Plain JSON, for the training run alone to read. */
  readonly progress: Readonly<Record<string, unknown>>;
  readonly tensors: ReadonlyMap<string, NamedValues>;
}

export interface Checkpoint {
  readonly model: Model<XlstmLanguageModel>;
  readonly tokenizer: Tokenizer;
  readonly training: TrainingState | undefined;
}

const HEAD = 'lm_head.weight';
const EMBEDDING = 'token_embedding.weight';

/** The files of a checkpoint by name: copies, which later training does not change. */
export type CheckpointFiles = ReadonlyMap<string, Uint8Array | string>;

/** Files of an earlier checkpoint, if given, are written over: a long run stays in the same memory. */
export async function checkpointFiles(
  { model, tokenizer, training }: Checkpoint,
  earlier?: CheckpointFiles,
): Promise<CheckpointFiles> {
  const parameters = await model.read();
  // The official package's files name the tied matrix twice.
  const embedding = parameters.get(EMBEDDING);
  if (model.network.config.tieWeights && embedding) parameters.set(HEAD, embedding);
  const files = new Map<string, Uint8Array | string>([
    ['config.json', json(formatConfig(model.network.config))],
    ['tokenizer.json', json(tokenizer)],
    ['model.safetensors', pack(parameters, { format: 'pt' }, earlier?.get('model.safetensors'))],
  ]);
  if (training) {
    files.set('training.json', json(training.progress));
    files.set('optimizer.safetensors', pack(training.tensors, {}, earlier?.get('optimizer.safetensors')));
  }
  return files;
}

export async function writeCheckpoint(path: string, files: CheckpointFiles): Promise<void> {
  await mkdir(join(path, '..'), { recursive: true });
  await replaceFolder(path, files);
}

export const saveCheckpoint = async (path: string, checkpoint: Checkpoint): Promise<void> =>
  writeCheckpoint(path, await checkpointFiles(checkpoint));

/** Reads a checkpoint folder, or the folder of a run, whose checkpoint is in `checkpoint/`. */
export async function loadCheckpoint(engine: Engine, path: string): Promise<Checkpoint> {
  const folder = await checkpointFolder(path);
  const configPath = join(folder, 'config.json');
  const config = parseConfig(await readJson(configPath), configPath);
  const tokenizerPath = join(folder, 'tokenizer.json');
  const tokenizer = createTokenizer(await readJson(tokenizerPath), tokenizerPath);
  if (tokenizer.vocabSize > config.vocabSize) {
    throw new XlstmError(
      'checkpoint',
      `${tokenizerPath}: the tokenizer makes ${tokenizer.vocabSize} tokens, the model in config.json knows ${config.vocabSize}`,
    );
  }
  const weightsPath = join(folder, 'model.safetensors');
  const weights = unpack(await readBytes(weightsPath), weightsPath);
  if (config.tieWeights) dropTiedCopy(weights, weightsPath);
  const model = Model.empty(engine, (scope) => new XlstmLanguageModel(scope, config));
  model.write(weights, weightsPath);

  const progressPath = join(folder, 'training.json');
  if (!(await exists(progressPath))) return { model, tokenizer, training: undefined };
  const optimizerPath = join(folder, 'optimizer.safetensors');
  const progress = (await readJson(progressPath)) as Record<string, unknown>;
  return {
    model,
    tokenizer,
    training: { progress, tensors: unpack(await readBytes(optimizerPath), optimizerPath) },
  };
}

/** Where a checkpoint's files lie: the path itself or `checkpoint/` below it. */
export async function checkpointFolder(path: string): Promise<string> {
  const below = join(path, 'checkpoint');
  for (const folder of [path, below]) {
    await recoverFolder(folder);
    if (await exists(join(folder, 'config.json'))) return folder;
  }
  throw new XlstmError(
    'checkpoint',
    `${path}: expected a checkpoint (config.json, model.safetensors) or the folder of a run, found neither`,
    'Train one with "xlstm train", or give the path of its folder.',
  );
}

function dropTiedCopy(weights: Map<string, NamedValues>, source: string): void {
  const head = weights.get(HEAD);
  const embedding = weights.get(EMBEDDING);
  if (!head) return;
  for (let i = 0; i < head.values.length; i++) {
    if (head.values[i] !== embedding?.values[i]) {
      throw new XlstmError(
        'checkpoint',
        `${source}: tie_weights is set, but "${HEAD}" and "${EMBEDDING}" differ`,
        'Set "tie_weights" to false in config.json to use both.',
      );
    }
  }
  weights.delete(HEAD);
}

const json = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;

function pack(
  tensors: ReadonlyMap<string, NamedValues>,
  metadata: Record<string, string>,
  earlier?: Uint8Array | string,
): Uint8Array {
  const entries = [...tensors].map(([name, { shape, values }]) => {
    const data = values instanceof Float32Array ? values : Float32Array.from(values);
    return [name, { shape, data }] as const;
  });
  return writeSafetensors(new Map(entries), metadata, typeof earlier === 'string' ? undefined : earlier);
}

function unpack(bytes: Uint8Array, source: string): Map<string, NamedValues> {
  const { tensors } = parseSafetensors(bytes, source);
  return new Map([...tensors].map(([name, t]) => [name, { shape: t.shape, values: t.read() }]));
}

const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  );

async function readBytes(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (error) {
    throw new XlstmError(
      'checkpoint',
      `${path}: cannot be read (${(error as NodeJS.ErrnoException).code})`,
      'The checkpoint folder is not complete.',
    );
  }
}

async function readJson(path: string): Promise<unknown> {
  const text = new TextDecoder().decode(await readBytes(path));
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new XlstmError('checkpoint', `${path}: expected JSON: ${(error as Error).message}`);
  }
}
