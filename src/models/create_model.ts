import { checkNames } from '../checks.ts';
import type { Engine } from '../compute/engines/engine.ts';
import type { Architecture } from '../nn/architecture.ts';
import type { LanguageModel, Network } from '../nn/layer.ts';
import { Model } from '../nn/model.ts';
import type { BaselineName, BaselineOptions } from './baselines/architectures.ts';
import type { LargeOptions } from './large/config.ts';
import type { LargeLanguageModel } from './large/language_model.ts';
import { readDesign } from './registry.ts';
import type { LanguageModelOptions } from './xlstm/config.ts';
import type { XlstmLanguageModel } from './xlstm/language_model.ts';

/** What is no part of a model's configuration. */
export interface CreateOptions {
  /** Decides the initial values. Default: 1. */
  readonly seed?: number;
}

/** A configuration of an architecture by its name, as in config.json. */
export interface NamedConfig {
  /** One of `architectureNames()`. */
  readonly architecture: string;
  readonly [key: string]: unknown;
}

/** A configuration of what `registerArchitecture` returned. */
export interface OwnConfig<C, N extends Network> {
  /** The object itself: the network's type is then known. */
  readonly architecture: Architecture<C, N>;
  readonly [key: string]: unknown;
}

/**
 * A new model: `createModel(engine, { vocabSize: 256, embeddingDim: 64 }, { seed: 1 })`. The key `architecture` says
 * what it is: xlstm where it is left out, one of `architectureNames()`, or one's own. Throws a config error for a
 * configuration that is not right, a usage error for a seed that is none.
 */
export function createModel(
  engine: Engine,
  config: LanguageModelOptions & { readonly architecture?: 'xlstm' },
  options?: CreateOptions,
): Model<XlstmLanguageModel>;
export function createModel(
  engine: Engine,
  config: BaselineOptions & { readonly architecture: BaselineName },
  options?: CreateOptions,
): Model<LanguageModel>;
export function createModel(
  engine: Engine,
  config: LargeOptions & { readonly architecture: 'xlstm-large' },
  options?: CreateOptions,
): Model<LargeLanguageModel>;
export function createModel<C, N extends Network>(
  engine: Engine,
  config: OwnConfig<C, N>,
  options?: CreateOptions,
): Model<N>;
export function createModel(engine: Engine, config: NamedConfig, options?: CreateOptions): Model<Network>;
export function createModel(engine: Engine, config: unknown, options: CreateOptions = {}): Model<Network> {
  checkNames('createModel', options, ['seed']);
  return Model.create(engine, readDesign(config, 'createModel'), options.seed ?? 1);
}
