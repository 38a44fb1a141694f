import type { Precision } from '../compute/graph/plan.ts';
import type { PackedFormat } from '../compute/program/constants.ts';
import { type Adapter, checkAdapter } from './adapter.ts';
import type { Network } from './layer.ts';
import type { NamedValues, Scope } from './parameters.ts';

/**
 * A kind of network by name: how a configuration of it is read and written, and what is built from one. With
 * `registerArchitecture` its models are created, saved, loaded, inspected and trained like any other.
 */
export interface Architecture<C = unknown, N extends Network = Network> {
  /** The value of `architecture` in config.json. */
  readonly name: string;
  /**
   * Checks a configuration and fills in defaults: the content of config.json, or what a program gives `createModel`,
   * without the key `architecture`. Throws a config error that begins with `source`.
   */
  parseConfig(json: Readonly<Record<string, unknown>>, source: string): C;
  /** Plain JSON from which `parseConfig` makes an equal configuration. */
  formatConfig(config: C): Readonly<Record<string, unknown>>;
  /** Makes the network; its layers declare their parameters in the scope. */
  build(scope: Scope, config: C): N;
  /** Whether a configuration that names no architecture is one of this: files of other programs. Left out: none is. */
  recognises?(json: Readonly<Record<string, unknown>>): boolean;
  /** What people are told of a model. Left out: the architecture's name. */
  describe?(config: C): Description;
  /** Left out: files hold the parameters under their names. */
  readonly tensors?: {
    /** What a file holds of a model's parameters. */
    encode(parameters: ReadonlyMap<string, NamedValues>, config: C): ReadonlyMap<string, NamedValues>;
    /** The parameters in a file's tensors. Throws a checkpoint error that begins with `source`. */
    decode(
      tensors: ReadonlyMap<string, NamedValues>,
      config: C,
      source: string,
    ): ReadonlyMap<string, NamedValues>;
  };
  /** Keys of a configuration whose numbers are written with a decimal point, which readers in Python ask for. */
  readonly decimals?: readonly string[];
  /** How other programs keep its models in files, by the names of the programs. Left out: none does. */
  readonly layouts?: Readonly<Partial<Record<ForeignLayout, FileLayout<C>>>>;
}

/** Another program: Hugging Face's `transformers`, the official package `xlstm` of PyTorch. */
export type ForeignLayout = 'transformers' | 'official';
/** All of them. */
export const foreignLayouts: readonly ForeignLayout[] = ['transformers', 'official'];

/** The files of a model as another program reads them; the weights are in model.safetensors. */
export interface FileLayout<C = unknown> {
  /** The file of the configuration. */
  readonly configName: 'config.json' | 'config.yaml';
  /** The content of the configuration's file. */
  formatConfig(config: C): Readonly<Record<string, unknown>>;
  /** The tensors of a file that has these parameters. */
  encode(parameters: ReadonlyMap<string, NamedValues>, config: C): ReadonlyMap<string, NamedValues>;
}

/** What `xlstm inspect` and errors tell of a model, and what a Trainer takes its default length and a tokenizer its borders from. */
export interface Description {
  /** In a few words: "2 mLSTM and 2 sLSTM blocks, width 128". */
  readonly summary: string;
  /** Kinds of layers, by the names of their places: "blocks.0", "lm_head". */
  readonly kinds?: Readonly<Record<string, string>>;
  /** Positions of the sequences that it is meant to be trained on. */
  readonly contextLength?: number;
  /** The token that it wants before every text. */
  readonly startToken?: number | undefined;
  /** Tokens by which it ends a text. */
  readonly endTokens?: readonly number[];
}

/** A configuration of an architecture: all that a network is built from. */
export class Design<N extends Network = Network> {
  /** What reads the configuration and builds from it. */
  readonly architecture: Architecture<unknown, N>;
  /** As `parseConfig` of the architecture gave it: checked, with defaults. */
  readonly config: unknown;
  /** How the matrices of its models are packed. Undefined: all parameters are float32. */
  readonly packing: PackedFormat | undefined;
  /** What is trained beside the matrices. Undefined: they themselves are. */
  readonly adapter: Adapter | undefined;
  /** What its matrices are multiplied in: with bf16 they are rounded once, and its models are for use alone. */
  readonly precision: Precision;

  /**
   * The configuration is taken as it is: `readDesign` makes a design of one that is still to be checked. Throws a usage error
   * for an adapter whose options are not right.
   */
  constructor(
    architecture: Architecture<unknown, N>,
    config: unknown,
    packing?: PackedFormat,
    adapter?: Adapter,
    precision: Precision = 'f32',
  ) {
    this.architecture = architecture;
    this.config = config;
    this.packing = packing;
    this.adapter = adapter;
    this.precision = precision;
    if (adapter) checkAdapter(adapter);
  }

  /** A new network, whose layers declare their parameters in the scope. */
  build(scope: Scope): N {
    return this.architecture.build(scope, this.config);
  }

  /** What its architecture tells of it, or else the architecture's name. */
  describe(): Description {
    return this.architecture.describe?.(this.config) ?? { summary: this.architecture.name };
  }
}
