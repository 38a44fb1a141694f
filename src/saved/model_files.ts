import { ADAPTER_FILES, adapterIn, type GivenAdapter } from '../checkpoints/adapter_files.ts';
import { type Checkpoint, checkpointFiles, type LoadedModel } from '../checkpoints/checkpoint.ts';
import { type DecodeOptions, decodeModelFiles } from '../checkpoints/model_files.ts';
import { checkOption } from '../checks.ts';
import type { Engine } from '../compute/engines/engine.ts';
import type { Tokenizer } from '../data/tokenizer.ts';
import { XlstmError } from '../errors.ts';
import type { Network } from '../nn/layer.ts';
import type { Model } from '../nn/model.ts';
import { quote } from '../quote.ts';
import { fetchedAdapterFiles, fetchedFiles } from './fetched_files.ts';
import { checkSource, givenFiles, type ModelSource } from './given_files.ts';
import { type LoadedAs, type LoadOptions, loadAs } from './loaded.ts';

/** A SequenceModel, a TextModel, or a model of any architecture, with or without a tokenizer. */
export type SavableModel =
  | Model<Network>
  | {
      /** One of a design: what a function built cannot be saved. */
      readonly model: Model<Network>;
      /** What is saved with it. */
      readonly tokenizer?: Tokenizer | undefined;
    };

/**
 * Loads what `saveModel` or `encodeModel` made, or a run of `xlstm train`, of any architecture. What comes fits the
 * network: a SequenceModel, a TextModel for tokens, for any other `{ model }`; with `kind` it is known before.
 * In Node a text is the path of a folder, unless it begins with http: or https:; in browsers it is an address. Throws
 * an error that names the file for what is missing, damaged, of an unknown architecture or not of the kind, and for an
 * adapter that was trained over another model.
 */
export function loadModel<K extends keyof LoadedAs = 'any'>(
  source: ModelSource,
  options: LoadOptions<K> = {},
): Promise<LoadedAs[K]> {
  checkSource(source);
  return loadAs(options, placeOf(source), async (engine) =>
    decodeSource(engine, source, {
      precision: options.precision,
      ...(options.adapter !== undefined && { adapter: await readAdapter(options.adapter) }),
    }),
  );
}

/** The model at an address, or of files. */
export async function decodeSource(
  engine: Engine,
  source: ModelSource,
  options: Pick<DecodeOptions, 'adapter' | 'precision'>,
): Promise<LoadedModel> {
  const files = isFiles(source) ? givenFiles(source.files) : await fetchedFiles(source);
  return decodeModelFiles(engine, files, options);
}

/** The adapter at an address, or of files. Throws a checkpoint error for what is missing, damaged or not right. */
export async function readAdapter(source: ModelSource): Promise<GivenAdapter> {
  const files = isFiles(source) ? givenFiles(source.files) : fetchedAdapterFiles(source);
  const adapter = await adapterIn(files);
  if (adapter) return adapter;
  throw new XlstmError(
    'checkpoint',
    `${placeOf(source)}: expected an adapter (${ADAPTER_FILES.join(', ')}), found ${quote(files.names)}`,
  );
}

const isFiles = (source: ModelSource): source is Exclude<ModelSource, string | URL> =>
  typeof source === 'object' && 'files' in source;

/** What errors call it. */
export const placeOf = (source: ModelSource): string => (isFiles(source) ? 'files' : `${source}`);

/**
 * The files of a model by name, for a download, IndexedDB or a server; `loadModel({ files })` makes a model of them.
 * Throws a usage error where the model or its tokenizer could not be loaded again.
 */
export async function encodeModel(model: SavableModel): Promise<Map<string, Uint8Array>> {
  const files = await checkpointFiles(checkpointOf(model));
  const encoder = new TextEncoder();
  return new Map(
    [...files].map(([name, content]) => [
      name,
      typeof content === 'string' ? encoder.encode(content) : content,
    ]),
  );
}

/**
 * Writes a model into a folder, as a whole: it is made or, if it holds a model, replaced. Other files in it stay; a
 * folder that holds other files and no model is refused. In Node alone: browsers have no folders, and there this throws.
 */
export async function saveModel(_model: SavableModel, _folder: string): Promise<void> {
  throw new XlstmError(
    'usage',
    'saveModel: there are no folders here',
    'encodeModel(model) gives the files, for a download or IndexedDB. In Node the package "xlstm" resolves under the condition "node".',
  );
}

export function checkpointOf(given: SavableModel): Checkpoint {
  checkOption(typeof given === 'object' && given !== null, 'model', 'a model', given);
  const { model, tokenizer } = 'model' in given ? given : { model: given };
  checkOption(
    typeof model === 'object' && model !== null && 'parameters' in model,
    'model',
    'a model',
    model,
  );
  return tokenizer ? { model, tokenizer } : { model };
}
