import type { Engine, Memory } from '../engine/engine.ts';
import { XlstmError } from '../errors.ts';
import { shapeText, sizeOf } from '../program/region.ts';
import type { LanguageModel } from './layer.ts';
import { Parameters, Scope } from './parameters.ts';

export interface NamedValues {
  readonly shape: readonly number[];
  readonly values: ArrayLike<number>;
}

/** A language model with its numbers: a network whose parameters lie in an engine's memory. */
export class Model<N extends LanguageModel = LanguageModel> {
  readonly engine: Engine;
  readonly network: N;
  readonly parameters: Parameters;
  /** The parameters' memory, for binding Programs. */
  readonly memories: readonly Memory[];

  private constructor(engine: Engine, network: N, parameters: Parameters) {
    this.engine = engine;
    this.network = network;
    this.parameters = parameters;
    this.memories = parameters.regions.map((region) => engine.allocate(region));
  }

  /** A new model with initial values drawn from the seed. */
  static create<N extends LanguageModel>(engine: Engine, build: (scope: Scope) => N, seed: number): Model<N> {
    const model = Model.empty(engine, build);
    for (const [name, values] of model.parameters.initial(seed)) model.#memoryOf(name).write(name, values);
    return model;
  }

  /** A model whose parameters are all 0, to be filled by `write`. */
  static empty<N extends LanguageModel>(engine: Engine, build: (scope: Scope) => N): Model<N> {
    const parameters = new Parameters();
    const network = build(new Scope(parameters));
    return new Model(engine, network, parameters);
  }

  /** Copies of all parameters, in order of declaration. */
  async read(): Promise<Map<string, NamedValues>> {
    const all = new Map<string, NamedValues>();
    for (const { name, shape } of this.parameters.list) {
      const values = await this.#memoryOf(name).read(name);
      all.set(name, { shape, values: values.subarray(0, sizeOf(shape)) });
    }
    return all;
  }

  /**
   * Sets all parameters. Names and shapes are checked before anything is written; `source` names the file in errors.
   */
  write(tensors: ReadonlyMap<string, NamedValues>, source: string): void {
    const list = this.parameters.list;
    const missing = list.filter((p) => !tensors.has(p.name)).map((p) => p.name);
    const known = new Set(list.map((p) => p.name));
    const extra = [...tensors.keys()].filter((name) => !known.has(name));
    if (missing.length > 0 || extra.length > 0) {
      const parts = [
        missing.length > 0 ? `${missing.length} missing (${some(missing)})` : '',
        extra.length > 0 ? `${extra.length} not in the model (${some(extra)})` : '',
      ];
      const text = parts.filter((part) => part).join(', ');
      throw new XlstmError(
        'checkpoint',
        `${source}: its tensors do not fit the configuration: ${text}`,
        'The configuration and the weights must come from the same model.',
      );
    }
    for (const { name, shape } of list) {
      const found = tensors.get(name) as NamedValues;
      if (shapeText(found.shape) !== shapeText(shape)) {
        throw new XlstmError(
          'checkpoint',
          `${source}: "${name}" has shape ${shapeText(found.shape)}, the configuration asks for ${shapeText(shape)}`,
          'The configuration and the weights must come from the same model.',
        );
      }
    }
    for (const { name } of list) this.#memoryOf(name).write(name, (tensors.get(name) as NamedValues).values);
  }

  #memoryOf(name: string): Memory {
    return this.memories.find((memory) => memory.region.has(name)) as Memory;
  }
}

const some = (names: readonly string[]): string =>
  names.slice(0, 3).join(', ') + (names.length > 3 ? ', …' : '');
