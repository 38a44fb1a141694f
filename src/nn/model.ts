import { checkOption } from '../checks.ts';
import type { Engine, Memory } from '../compute/engines/engine.ts';
import { shapeText, sizeOf } from '../compute/program/region.ts';
import { XlstmError } from '../errors.ts';
import { oneLine, quote } from '../quote.ts';
import { Design } from './architecture.ts';
import { isLanguageModel, type LanguageModel, type Network } from './layer.ts';
import { matrixWords } from './matrix_words.ts';
import { ModelUse } from './one_call.ts';
import { type NamedValues, type Parameter, Parameters, Scope } from './parameters.ts';

/** What a network is made from. Of a design a model can be saved and loaded again; a function is for experiments. */
export type NetworkSource<N extends Network> = Design<N> | ((scope: Scope) => N);

/** Numbers of a parameter that are read at a time. */
const PIECE = 2 ** 20;

/** What adapters begin with: the numbers of a file, or those that a seed gives. */
export type AdapterValues =
  | {
      /** By the names of the parameters. */
      readonly tensors: ReadonlyMap<string, NamedValues>;
      /** Named in errors. */
      readonly file: string;
    }
  | {
      /** Decides the values of A; B is 0, so that the model is its base. */
      readonly seed: number;
    };

/** A network with its numbers: one whose parameters lie in an engine's memory. */
export class Model<N extends Network = LanguageModel> implements Disposable {
  /** Where the parameters lie, and what runs Programs on them. It is not closed with the model. */
  readonly engine: Engine;
  /** Undefined where the network is a function's. */
  readonly design: Design<N> | undefined;
  /** What is built of layers: it holds no numbers, and Programs are planned from it. */
  readonly network: N;
  /** The parameters' names, shapes and layout. */
  readonly parameters: Parameters;
  /** The parameters' memory, for binding Programs. */
  readonly memories: readonly Memory[];
  /** Who works with it: for what binds Programs to its memory. */
  readonly use = new ModelUse();

  private constructor(engine: Engine, { design, network, parameters }: Laid<N>) {
    this.engine = engine;
    this.design = design;
    this.network = network;
    this.parameters = parameters;
    this.memories = parameters.regions.map((region) => engine.allocate(region));
  }

  /** A new model with initial values drawn from the seed. Throws a usage error for sizes or values that are not right. */
  static create<N extends Network>(engine: Engine, source: NetworkSource<N>, seed: number): Model<N> {
    const model = new Model(engine, layOut(source));
    try {
      model.#begin(seed, model.parameters.list);
      return model;
    } catch (error) {
      model.free();
      throw error;
    }
  }

  /** A model whose parameters are all 0, to be filled by `write`. */
  static empty<N extends Network>(engine: Engine, source: NetworkSource<N>): Model<N> {
    return new Model(engine, layOut(source));
  }

  /**
   * A model with the parameters given. They are compared with what the network declares before it takes any memory:
   * names and shapes must be the same, else it throws a checkpoint error. `file` names the file in errors. Adapters of the
   * design have the values given, or new ones.
   */
  static load<N extends Network>(
    engine: Engine,
    source: NetworkSource<N>,
    tensors: ReadonlyMap<string, NamedValues>,
    file: string,
    adapters: AdapterValues = { seed: 1 },
  ): Model<N> {
    const laid = layOut(source);
    const { own, added } = laid.parameters;
    checkFit(own, tensors, file);
    if ('tensors' in adapters) checkFit(added, adapters.tensors, adapters.file);
    const model = new Model(engine, laid);
    try {
      model.#fill(own, tensors, file);
      if ('tensors' in adapters) model.#fill(added, adapters.tensors, adapters.file);
      else model.#begin(adapters.seed, added);
      return model;
    } catch (error) {
      model.free();
      throw error;
    }
  }

  /**
   * Copies of all parameters, in order of declaration; of packed ones their words.
   *
   * @param parameters Those to read. Default: all.
   */
  async read(parameters: readonly Parameter[] = this.parameters.list): Promise<Map<string, NamedValues>> {
    this.use.enter('read');
    try {
      const all = new Map<string, NamedValues>();
      for (const parameter of parameters) {
        const { name, shape } = parameter;
        const values = await this.#memoryOf(name).read(name);
        const words = matrixWords(parameter);
        if (words) all.set(name, { shape: words.shape, values, integers: () => Int32Array.from(values) });
        else all.set(name, { shape, values: values.subarray(0, sizeOf(shape)) });
      }
      return all;
    } finally {
      this.use.leave();
    }
  }

  /**
   * Sets parameters; of packed ones `tensors` have the words or the numbers, which are packed then. Names and shapes are
   * checked before anything is written: where they are not the model's, it throws a checkpoint error, and `source` names the
   * file in it.
   *
   * @param parameters Those to set. Default: all.
   */
  write(
    tensors: ReadonlyMap<string, NamedValues>,
    source: string,
    parameters: readonly Parameter[] = this.parameters.list,
  ): void {
    this.use.check('write');
    checkFit(parameters, tensors, source);
    this.#fill(parameters, tensors, source);
  }

  #begin(seed: number, parameters: readonly Parameter[]): void {
    for (const [parameter, values] of this.parameters.initial(seed, parameters)) this.#set(parameter, values);
  }

  #fill(parameters: readonly Parameter[], tensors: ReadonlyMap<string, NamedValues>, source: string): void {
    for (const parameter of parameters) {
      const { name } = parameter;
      const given = tensors.get(name) as NamedValues;
      const words = matrixWords(parameter) && given.integers?.();
      if (words) this.#memoryOf(name).write(name, finiteWords(parameter, words, source));
      else if (given.slice) this.#setByRows(parameter, (from, to) => given.slice?.(from, to) ?? []);
      else this.#set(parameter, given.values);
    }
  }

  /** Some rows at a time: of a large matrix in a file there is never all in memory. */
  #setByRows(parameter: Parameter, slice: (from: number, to: number) => ArrayLike<number>): void {
    const { name, shape } = parameter;
    const words = matrixWords(parameter);
    const width = sizeOf(shape.slice(1));
    const stride = words ? words.shape[1] : width;
    const together = words?.rowsTogether ?? 1;
    const step = together * Math.max(1, Math.floor(PIECE / (together * width)));
    for (let row = 0; row < shape[0]; row += step) {
      const values = slice(row * width, Math.min(shape[0], row + step) * width);
      this.#memoryOf(name).write(name, words ? words.pack(values) : values, row * stride);
    }
  }

  #set(parameter: Parameter, values: ArrayLike<number>): void {
    const { name } = parameter;
    this.#memoryOf(name).write(name, matrixWords(parameter)?.pack(values) ?? values);
  }

  /**
   * Gives the parameters' memory back; neither it nor what was made for it can be used from here on. Throws a usage
   * error while a call of one of these is at work.
   */
  free(): void {
    if (this.use.freed) return;
    this.use.end();
    for (const memory of this.memories) memory.free();
  }

  /** `free`, for `using`. */
  [Symbol.dispose](): void {
    this.free();
  }

  #memoryOf(name: string): Memory {
    return this.memories.find((memory) => memory.region.has(name)) as Memory;
  }
}

/** Whether a model is a language model: tokens in, logits out. */
export const takesTokens = (model: Model<Network>): model is Model<LanguageModel> =>
  isLanguageModel(model.network);

interface Laid<N extends Network> {
  readonly design: Design<N> | undefined;
  readonly network: N;
  readonly parameters: Parameters;
}

function layOut<N extends Network>(source: NetworkSource<N>): Laid<N> {
  if (source instanceof Design) {
    const parameters = new Parameters(source.packing, source.adapter, source.precision);
    const network = source.build(new Scope(parameters));
    parameters.checkTargets();
    return { design: source, network, parameters };
  }
  checkOption(typeof source === 'function', 'source', 'a design or a function that makes a network', source);
  const parameters = new Parameters();
  return { design: undefined, network: source(new Scope(parameters)), parameters };
}

/** Throws a checkpoint error that begins with `source` where tensors are missing, not in the list or of another shape. */
export function checkFit(
  list: readonly Parameter[],
  tensors: ReadonlyMap<string, NamedValues>,
  source: string,
): void {
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
  for (const parameter of list) {
    const { name, shape } = parameter;
    const found = tensors.get(name) as NamedValues;
    const expected = found.integers ? (matrixWords(parameter)?.shape ?? shape) : shape;
    if (shapeText(found.shape) !== shapeText(expected)) {
      throw new XlstmError(
        'checkpoint',
        `${source}: "${name}" has shape ${quote(found.shape)}, the configuration asks for ${quote(expected)}`,
        'The configuration and the weights must come from the same model.',
      );
    }
  }
}

function finiteWords(parameter: Parameter, words: Int32Array, source: string): Int32Array {
  if (matrixWords(parameter)?.areFinite(words)) return words;
  throw new XlstmError(
    'checkpoint',
    `${source}: "${parameter.name}" holds scales that are no finite numbers`,
    'The file is damaged, or no matrix of small weights: write it again with xlstm quantize.',
  );
}

const some = (names: readonly string[]): string =>
  names
    .slice(0, 3)
    .map((name) => oneLine(name))
    .join(', ') + (names.length > 3 ? ', …' : '');
