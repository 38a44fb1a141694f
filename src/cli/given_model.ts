import type { GivenAdapter } from '../checkpoints/adapter_files.ts';
import { type LoadedTextModel, loadTextModel, textModel } from '../checkpoints/checkpoint_folder.ts';
import type { Engine } from '../compute/engines/engine.ts';
import { XlstmError } from '../errors.ts';
import { formatDesign, readDesign } from '../models/registry.ts';
import { xlstmArchitecture } from '../models/xlstm/architecture.ts';
import { blocksFromNotation, isSlstmBlock, type LanguageModelConfig } from '../models/xlstm/config.ts';
import type { Design } from '../nn/architecture.ts';
import { loadModel } from '../saved/model_folders.ts';
import { readConfigFile } from './read_config.ts';

/** What a command line says of a model; undefined where it says nothing. */
export interface ModelOptions {
  readonly config: string | undefined;
  readonly architecture: string | undefined;
  readonly model: string | undefined;
  readonly slstmAt: readonly number[] | 'all' | undefined;
  readonly blocks: number | undefined;
  readonly dim: number | undefined;
  readonly heads: number | undefined;
  readonly dropout: number | undefined;
  readonly tieWeights: boolean | undefined;
}

/** A language model that is trained on, or over which an adapter is; throws where it is none, or another one than the options say. */
export async function openGivenModel(
  engine: Engine,
  place: string,
  options: ModelOptions,
  adapter?: GivenAdapter,
): Promise<LoadedTextModel> {
  const loaded = adapter
    ? await loadTextModel(engine, place, { adapter })
    : textModel(await loadModel(place, { engine, kind: 'text' }), place);
  try {
    const { design } = loaded.model;
    if (design) await requireSame(design, options, place);
    return loaded;
  } catch (error) {
    loaded.model.free();
    throw error;
  }
}

async function requireSame(design: Design, options: ModelOptions, place: string): Promise<void> {
  const { config: file, architecture, ...given } = options;
  const contradictions = [
    ...(architecture === undefined || architecture === design.architecture.name
      ? []
      : [`--architecture ${architecture}`]),
    ...(file === undefined ? [] : differences(design, readDesign(await readConfigFile(file), file), file)),
    ...(design.architecture.name === xlstmArchitecture.name
      ? contradicted(design.config as LanguageModelConfig, given)
      : contradictedByKey(design.config, given)),
  ];
  if (contradictions.length === 0) return;
  throw new XlstmError(
    'usage',
    `--init ${place}: ${design.describe().summary}; but ${contradictions.join(', ')}`,
    'The given model says what the network is: leave these out, or train a new one without --init.',
  );
}

/** Keys that architectures have in common, by the options that say them. */
const COMMON_KEYS: Readonly<Record<string, string>> = {
  blocks: 'numBlocks',
  dim: 'embeddingDim',
  heads: 'numHeads',
  tieWeights: 'tieWeights',
};

/** The same of any other architecture: what its configuration does not have is an xLSTM's alone. */
function contradictedByKey(config: unknown, given: Omit<ModelOptions, 'config' | 'architecture'>): string[] {
  const keys = new Map(Object.entries(typeof config === 'object' ? (config ?? {}) : {}));
  return Object.entries(given).flatMap(([name, value]) => {
    const key = COMMON_KEYS[name];
    if (value === undefined || (key && keys.get(key) === value)) return [];
    return [key && keys.has(key) ? spelled(name, value) : `${optionOf(name)} is of an xLSTM`];
  });
}

/** Options of another xLSTM than that of the configuration, each in words. */
function contradicted(
  config: LanguageModelConfig,
  given: Omit<ModelOptions, 'config' | 'architecture'>,
): string[] {
  const { numBlocks, embeddingDim, dropout, tieWeights, mlstm, slstm } = config;
  const isSlstm = (at: LanguageModelConfig['slstmAt']): boolean[] =>
    Array.from({ length: numBlocks }, (_, i) => isSlstmBlock({ ...config, slstmAt: at }, i));
  const kinds = isSlstm(config.slstmAt);
  const heads = [
    ...(kinds.includes(false) ? [mlstm.numHeads] : []),
    ...(kinds.includes(true) ? [slstm.numHeads] : []),
  ];
  const slstmAt =
    given.slstmAt ?? (given.model === undefined ? undefined : blocksFromNotation(given.model, numBlocks));
  const kindsDiffer = slstmAt !== undefined && String(isSlstm(slstmAt)) !== String(kinds);
  const found: [keyof typeof given, boolean, unknown][] = [
    ['blocks', given.blocks !== numBlocks, given.blocks],
    ['dim', given.dim !== embeddingDim, given.dim],
    ['heads', heads.some((count) => count !== given.heads), given.heads],
    ['dropout', given.dropout !== dropout, given.dropout],
    ['tieWeights', given.tieWeights !== tieWeights, given.tieWeights],
    ['slstmAt', kindsDiffer, given.slstmAt],
    ['model', given.slstmAt === undefined && kindsDiffer, given.model],
  ];
  return found
    .filter(([, differs, value]) => value !== undefined && differs)
    .map(([name, , value]) => spelled(name, value));
}

/** The keys of two configurations whose values are not the same. */
function differences(design: Design, other: Design, file: string): string[] {
  const { name } = other.architecture;
  if (name !== design.architecture.name) return [`${file} is of the architecture ${name}`];
  const [here, there] = [formatDesign(design), formatDesign(other)];
  return [...new Set([...Object.keys(here), ...Object.keys(there)])]
    .filter((key) => JSON.stringify(here[key]) !== JSON.stringify(there[key]))
    .map((key) => `${file} has another ${key}`);
}

const spelled = (name: string, value: unknown): string =>
  `${optionOf(name)}${value === true ? '' : ` ${value}`}`;

const optionOf = (name: string): string =>
  `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
