import { checkArray, checkOption } from '../checks.ts';
import { PackedMatrix, packedShape } from '../compute/graph/packed_linear.ts';
import { leaf, type Tensor } from '../compute/graph/tensor.ts';
import type { PackedFormat } from '../compute/program/constants.ts';
import { Region, type Shape, shapeText, sizeOf } from '../compute/program/region.ts';
import { XlstmError } from '../errors.ts';
import { Random } from '../random.ts';

/** Fills a new parameter: a finite number for each element of the shape, row by row. */
export type Init = (random: Random, shape: Shape) => ArrayLike<number>;

/** An array that is not in an engine's memory: what a file holds under a name. */
export interface NamedValues {
  /** Dimensions, the outermost first. */
  readonly shape: readonly number[];
  /** The numbers row by row, as many as the shape says; of an array in a file a new copy each time. */
  readonly values: ArrayLike<number>;
  /** Elements from `from` up to `to`. Left out: `values` is in memory. */
  slice?(from: number, to: number): ArrayLike<number>;
  /** Of an array of 32-bit whole numbers, as the words of a packed matrix are: a copy of them. Left out: it is none. */
  readonly integers?: (() => Int32Array) | undefined;
}

/** What a network declared of one of its parameters. */
export interface Parameter {
  /** The full name, as in checkpoint files. */
  readonly name: string;
  /** Dimensions, the outermost first. */
  readonly shape: Shape;
  /** What fills it in a new model. */
  readonly init: Init;
  /** Where it lies: `decayed`, `plain` or `packed` of its Parameters. */
  readonly region: Region;
  /** How its numbers are packed. Left out: they are float32. */
  readonly format?: PackedFormat;
}

/** What `linear` multiplies with. */
export type Matrix = Tensor | PackedMatrix;

/** Matrices with a smaller side stay precise: they are those of gates, and nothing would be gained. */
const LEAST_PACKED = 32;

/** A matrix that a layer asks for. */
export interface MatrixPart {
  /** Below the layer's place. */
  readonly name: string;
  /** [out, in] */
  readonly shape: readonly [rows: number, cols: number];
  /** What fills it in a new model. */
  readonly init: Init;
}

/**
 * The parameters of a model in two regions, those that weight decay shrinks and the others: the optimizer makes one
 * flat pass over each. Where matrices are packed they have a region of their own, and no optimizer.
 */
export class Parameters {
  /** Those that weight decay shrinks. */
  readonly decayed = new Region('parameters.decayed');
  /** Those that it leaves alone. */
  readonly plain = new Region('parameters.plain');
  /** Matrices of small numbers. */
  readonly packed = new Region('parameters.packed');
  readonly #packing: PackedFormat | undefined;
  readonly #list: Parameter[] = [];
  readonly #names = new Set<string>();

  /** How matrices are packed. Left out: not at all. */
  constructor(packing?: PackedFormat) {
    this.#packing = packing;
  }

  /** `decayed` and `plain`, either of which may be empty, and `packed` where it is not. */
  get regions(): readonly Region[] {
    return [this.decayed, this.plain, ...(this.packed.bytes > 0 ? [this.packed] : [])];
  }

  /** In order of declaration. */
  get list(): readonly Parameter[] {
    return this.#list;
  }

  /** Numbers in all. */
  get count(): number {
    return this.#list.reduce((sum, p) => sum + sizeOf(p.shape), 0);
  }

  /**
   * Declares a parameter under its full name, and gives the tensor that layers compute with. Throws a usage error for a
   * name that is there, and for sizes that are none.
   */
  declare(name: string, shape: Shape, init: Init, decays: boolean): Tensor {
    const region = decays ? this.decayed : this.plain;
    this.#check(name, shape);
    this.#list.push({ name, shape, init, region });
    return leaf(region, name, shape);
  }

  /** Declares parameters that lie one after another and are one array of the given shape to the graph. */
  declareJoined(parts: readonly Omit<Parameter, 'region'>[], shape: Shape, decays: boolean): Tensor {
    const region = decays ? this.decayed : this.plain;
    for (const part of parts) {
      this.#check(part.name, part.shape);
      this.#list.push({ ...part, region });
    }
    const name = parts.map((part) => part.name).join(' + ');
    region.join(name, shape, parts);
    return leaf(region, name, shape);
  }

  /**
   * Declares matrices that lie row by row one after another and are one matrix to the graph, packed where this model's are.
   * The output layer keeps a byte for each weight where others have less: its errors are the predictions'.
   */
  declareMatrix(parts: readonly MatrixPart[], decays: boolean, isOutput: boolean): Matrix {
    const first = parts[0].name;
    const cols = parts[0].shape[1];
    const rows = parts.reduce((sum, { shape }) => sum + shape[0], 0);
    if (this.#packing === undefined || Math.min(cols, ...parts.map(({ shape }) => shape[0])) < LEAST_PACKED) {
      const [part] = parts;
      return parts.length === 1
        ? this.declare(part.name, part.shape, part.init, decays)
        : this.declareJoined(parts, [rows, cols], decays);
    }
    const format = isOutput && this.#packing === 'q4' ? 'q8' : this.#packing;
    const region = this.packed;
    for (const part of parts) {
      this.#check(part.name, part.shape);
      this.#list.push({ ...part, region, format });
    }
    const words = parts.map(({ name, shape }) => ({ name, shape: packedShape(format, shape) }));
    const name = parts.length === 1 ? first : parts.map((part) => part.name).join(' + ');
    if (parts.length > 1) region.join(name, packedShape(format, [rows, cols]), words, 'i32');
    return new PackedMatrix(region, name, [rows, cols], format);
  }

  /** Two layers of one name would share their numbers in silence. */
  #check(name: string, shape: Shape): void {
    const right = shape.length > 0 && shape.every((size) => Number.isSafeInteger(size) && size >= 1);
    checkOption(right, `the shape of parameter "${name}"`, 'whole numbers of at least 1', shapeText(shape));
    if (!this.#names.has(name)) {
      this.#names.add(name);
      return;
    }
    throw new XlstmError(
      'usage',
      `parameter "${name}" is declared twice`,
      'Give each layer a scope of its own: scope.child(name).',
    );
  }

  /**
   * Initial values one parameter after another; the same for the same seed. Throws a usage error where an Init gives other
   * than it must.
   */
  *initial(seed: number): Generator<readonly [Parameter, ArrayLike<number>]> {
    const random = new Random(seed);
    for (const parameter of this.#list) {
      const { name, shape, init } = parameter;
      const values: unknown = init(random, shape);
      checkArray(`the initial values of "${name}"`, values, sizeOf(shape), shape.join(' × '), 'finite');
      yield [parameter, values];
    }
  }
}

/** A place in the model's tree of names, in which layers declare their parameters. */
export class Scope {
  readonly #parameters: Parameters;
  readonly #prefix: string;

  constructor(parameters: Parameters, prefix = '') {
    this.#parameters = parameters;
    this.#prefix = prefix;
  }

  /** A place below this one: its names begin with `name.` after those of this place. */
  child(name: string): Scope {
    return new Scope(this.#parameters, `${this.#prefix}${name}.`);
  }

  /**
   * Declares a parameter. The rule of the official package decides on weight decay: names that contain "weight" and
   * not "norm" decay; `decays` overrides it. Throws a usage error for a name that is there, and for sizes that are none.
   */
  parameter(name: string, shape: Shape, init: Init, decays?: boolean): Tensor {
    const full = `${this.#prefix}${name}`;
    return this.#parameters.declare(full, shape, init, decays ?? decaysByName(full));
  }

  /**
   * Declares a matrix [out, in] for `linear` under the same rule, or several that are one, joined along the first
   * dimension; `isOutput`: it makes the logits. Files of small weights hold it packed.
   */
  matrix(parts: MatrixPart | readonly MatrixPart[], options: { readonly isOutput?: boolean } = {}): Matrix {
    const all = (Array.isArray(parts) ? parts : [parts]) as readonly MatrixPart[];
    const full = all.map((part) => ({ ...part, name: `${this.#prefix}${part.name}` }));
    return this.#parameters.declareMatrix(full, decaysByName(full[0].name), options.isOutput ?? false);
  }

  /**
   * Declares several parameters of one kind that the graph sees as one array, joined along the first dimension. The first
   * one's name decides on weight decay.
   */
  joined(parts: readonly { readonly name: string; readonly shape: Shape; readonly init: Init }[]): Tensor {
    const full = parts.map((part) => ({ ...part, name: `${this.#prefix}${part.name}` }));
    const rows = parts.reduce((sum, { shape }) => sum + shape[0], 0);
    return this.#parameters.declareJoined(
      full,
      [rows, ...parts[0].shape.slice(1)],
      decaysByName(full[0].name),
    );
  }
}

const decaysByName = (name: string): boolean => name.includes('weight') && !name.includes('norm');
