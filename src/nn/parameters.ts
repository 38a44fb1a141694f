import { checkArray, checkOption, nearestNames } from '../checks.ts';
import { AdaptedMatrix, type LowRank } from '../compute/graph/adapted_matrix.ts';
import { PackedMatrix, packedShape } from '../compute/graph/packed_linear.ts';
import { fitsPanels, PanelMatrix, panelShape } from '../compute/graph/panel_linear.ts';
import type { Precision } from '../compute/graph/plan.ts';
import { leaf, type Tensor } from '../compute/graph/tensor.ts';
import type { PackedFormat } from '../compute/program/constants.ts';
import { Region, type Shape, shapeText, sizeOf } from '../compute/program/region.ts';
import { XlstmError } from '../errors.ts';
import { quote } from '../quote.ts';
import { Random } from '../random.ts';
import { type Adapter, isTarget } from './adapter.ts';

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
  /** Where it lies: `decayed`, `plain`, `packed` or `adapters` of its Parameters. */
  readonly region: Region;
  /** How its numbers are packed. Left out: they are float32. */
  readonly format?: PackedFormat;
  /** It is a matrix in panels, of bfloat16. Left out: it is none. */
  readonly inPanels?: true;
}

/** What `linear` multiplies with. */
export type Matrix = Tensor | PackedMatrix | PanelMatrix | AdaptedMatrix;

/** Matrices with a smaller side stay precise: they are those of gates, and nothing would be gained. */
const LEAST_PACKED = 32;

/** What a matrix is for. */
export interface MatrixOptions {
  /** The output layer: its errors are the predictions'. */
  readonly isOutput?: boolean;
  /** It is never in panels: what it reads or gives has to keep the precision of float32. */
  readonly isExact?: boolean;
}

/** A matrix that a layer asks for. */
export interface MatrixPart {
  /** Below the layer's place. */
  readonly name: string;
  /** [out, in] */
  readonly shape: readonly [rows: number, cols: number];
  /** What fills it in a new model. */
  readonly init: Init;
}

/** A matrix with an adapter: the names of the three parameters. */
export interface AdaptedNames {
  /** The layer: the name of W without its end. */
  readonly module: string;
  /** W, [out, in] */
  readonly matrix: string;
  /** A, [rank, in] */
  readonly down: string;
  /** B, [out, rank] */
  readonly up: string;
}

/**
 * The parameters of a model in two regions, those that weight decay shrinks and the others: the optimizer makes one
 * flat pass over each. Where matrices are packed they have a region of their own, and no optimizer. So have adapters; where
 * there are some, they alone are trained.
 */
export class Parameters {
  /** Those that weight decay shrinks. */
  readonly decayed = new Region('parameters.decayed');
  /** Those that it leaves alone. */
  readonly plain = new Region('parameters.plain');
  /** Matrices of small numbers. */
  readonly packed = new Region('parameters.packed');
  /** Low-rank matrices beside those of the model. */
  readonly adapters = new Region('parameters.adapters');
  readonly #packing: PackedFormat | undefined;
  readonly #adapter: Adapter | undefined;
  readonly #precision: Precision;
  readonly #own: Parameter[] = [];
  readonly #added: Parameter[] = [];
  readonly #names = new Set<string>();
  readonly #matrices: string[] = [];
  readonly #adapted: AdaptedNames[] = [];

  /**
   * @param packing How matrices are packed. Left out: not at all.
   * @param adapter What is trained beside them. Left out: they themselves are.
   * @param precision With bf16 matrices lie in panels, which is for use alone.
   */
  constructor(packing?: PackedFormat, adapter?: Adapter, precision: Precision = 'f32') {
    this.#packing = packing;
    this.#adapter = adapter;
    this.#precision = precision;
  }

  /** `decayed` and `plain`, either of which may be empty, and `packed` and `adapters` where they are not. */
  get regions(): readonly Region[] {
    return [this.decayed, this.plain, ...[this.packed, this.adapters].filter(({ bytes }) => bytes > 0)];
  }

  /** Those that training moves: the adapters, where the design has some, else all that are no small numbers. */
  get trained(): readonly Region[] {
    return this.#adapter ? [this.adapters] : [this.decayed, this.plain];
  }

  /** In order of declaration, those of adapters last. */
  get list(): readonly Parameter[] {
    return [...this.#own, ...this.#added];
  }

  /** Those of the model without adapters. */
  get own(): readonly Parameter[] {
    return this.#own;
  }

  /** Those of adapters. */
  get added(): readonly Parameter[] {
    return this.#added;
  }

  /** The matrices that have adapters. */
  get adapted(): readonly AdaptedNames[] {
    return this.#adapted;
  }

  /** Numbers in all. */
  get count(): number {
    return this.list.reduce((sum, p) => sum + sizeOf(p.shape), 0);
  }

  /**
   * Declares a parameter under its full name, and gives the tensor that layers compute with. Throws a usage error for a
   * name that is there, and for sizes that are none.
   */
  declare(name: string, shape: Shape, init: Init, decays: boolean): Tensor {
    const region = decays ? this.decayed : this.plain;
    this.#check(name, shape);
    this.#own.push({ name, shape, init, region });
    return leaf(region, name, shape);
  }

  /** Declares parameters that lie one after another and are one array of the given shape to the graph. */
  declareJoined(parts: readonly Omit<Parameter, 'region'>[], shape: Shape, decays: boolean): Tensor {
    const region = decays ? this.decayed : this.plain;
    for (const part of parts) {
      this.#check(part.name, part.shape);
      this.#own.push({ ...part, region });
    }
    const name = parts.map((part) => part.name).join(' + ');
    region.join(name, shape, parts);
    return leaf(region, name, shape);
  }

  /**
   * Declares matrices that lie row by row one after another and are one matrix to the graph, packed where this model's are.
   * The output layer keeps a byte for each weight where others have less: its errors are the predictions'. With an adapter
   * each of those that it names has low-rank ones, under the names that PEFT gives them.
   */
  declareMatrix(parts: readonly MatrixPart[], decays: boolean, options: MatrixOptions = {}): Matrix {
    const { isOutput = false } = options;
    const base = this.#declareBase(parts, decays, options);
    const adapter = this.#adapter;
    if (!adapter) return base;
    const adapted = parts.map((part) => ({
      rows: part.shape[0],
      added: this.#declareAdapter(part, adapter, isOutput),
    }));
    if (adapted.every(({ added }) => !added)) return base;
    return new AdaptedMatrix(base, adapted, adapter.alpha / adapter.rank);
  }

  #declareAdapter(part: MatrixPart, { rank, targets }: Adapter, isOutput: boolean): LowRank | undefined {
    const module = moduleOf(part.name);
    this.#matrices.push(module);
    if (targets ? !targets.some((target) => isTarget(module, target)) : isOutput) return undefined;
    const [rows, cols] = part.shape;
    const declare = (name: string, shape: Shape, init: Init): Tensor => {
      this.#check(name, shape);
      this.#added.push({ name, shape, init, region: this.adapters });
      return leaf(this.adapters, name, shape);
    };
    const names = {
      module,
      matrix: part.name,
      down: `base_model.model.${module}.lora_A.weight`,
      up: `base_model.model.${module}.lora_B.weight`,
    };
    this.#adapted.push(names);
    return {
      down: declare(names.down, [rank, cols], kaimingUniform),
      up: declare(names.up, [rows, rank], (_, shape) => new Float64Array(sizeOf(shape))),
    };
  }

  /** Throws an error for a target of the adapter that no matrix has the name of; to be called when all are declared. */
  checkTargets(): void {
    if (!this.#adapter) return;
    const { targets = [], source, code = 'usage' } = this.#adapter;
    const unknown = targets.find((target) => !this.#matrices.some((module) => isTarget(module, target)));
    if (unknown === undefined && this.#adapted.length > 0) return;
    const ends = new Set(this.#matrices.map((module) => module.slice(module.lastIndexOf('.') + 1)));
    const near = nearestNames(unknown ?? '', [...ends]);
    throw new XlstmError(
      code,
      `${source}: expected names of this model's matrices, found ${unknown === undefined ? 'none' : quote(unknown)}`,
      near.length > 0
        ? `Near are ${near.join(', ')}; or a longer end of a name, as ${this.#matrices[0]}.`
        : 'It has no matrices that could have adapters.',
    );
  }

  #declareBase(
    parts: readonly MatrixPart[],
    decays: boolean,
    { isOutput, isExact }: MatrixOptions,
  ): Tensor | PackedMatrix | PanelMatrix {
    const cols = parts[0].shape[1];
    const rows = parts.reduce((sum, { shape }) => sum + shape[0], 0);
    const isSmall = Math.min(cols, ...parts.map(({ shape }) => shape[0])) < LEAST_PACKED;
    if (this.#precision === 'bf16' && !isExact && !isSmall && parts.every(({ shape }) => fitsPanels(shape))) {
      const name = this.#declareWords(parts, [rows, cols], panelShape, { inPanels: true });
      return new PanelMatrix(this.packed, name, [rows, cols]);
    }
    if (this.#packing === undefined || isSmall) {
      const [part] = parts;
      return parts.length === 1
        ? this.declare(part.name, part.shape, part.init, decays)
        : this.declareJoined(parts, [rows, cols], decays);
    }
    const format = isOutput && this.#packing === 'q4' ? 'q8' : this.#packing;
    const shapeOf = (shape: Shape): [number, number] => packedShape(format, shape);
    const name = this.#declareWords(parts, [rows, cols], shapeOf, { format });
    return new PackedMatrix(this.packed, name, [rows, cols], format);
  }

  /** Declares parameters that are words, one after another, and gives the name of them together. */
  #declareWords(
    parts: readonly MatrixPart[],
    shape: Shape,
    shapeOf: (shape: Shape) => [number, number],
    kind: Pick<Parameter, 'format' | 'inPanels'>,
  ): string {
    const region = this.packed;
    for (const part of parts) {
      this.#check(part.name, part.shape);
      this.#own.push({ ...part, region, ...kind });
    }
    if (parts.length === 1) return parts[0].name;
    const name = parts.map((part) => part.name).join(' + ');
    const words = parts.map((part) => ({ name: part.name, shape: shapeOf(part.shape) }));
    region.join(name, shapeOf(shape), words, 'i32');
    return name;
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
   * Initial values of parameters one after another; the same for the same seed. Throws a usage error where an Init gives other
   * than it must.
   */
  *initial(
    seed: number,
    parameters: readonly Parameter[],
  ): Generator<readonly [Parameter, ArrayLike<number>]> {
    const random = new Random(seed);
    for (const parameter of parameters) {
      const { name, shape, init } = parameter;
      const values: unknown = init(random, shape);
      checkArray(`the initial values of "${name}"`, values, sizeOf(shape), shape.join(' × '), 'finite');
      yield [parameter, values];
    }
  }
}

/** Of He et al. 2015 with a = √5, as for a Linear of PyTorch. */
const kaimingUniform: Init = (random, shape) => {
  const bound = 1 / Math.sqrt(shape[1]);
  const values = new Float64Array(sizeOf(shape));
  for (let i = 0; i < values.length; i++) values[i] = random.uniform(-bound, bound);
  return values;
};

/** The layer that holds a matrix, by its name. */
const moduleOf = (name: string): string => name.replace(/\.weight$/, '');

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
  matrix(parts: MatrixPart | readonly MatrixPart[], options: MatrixOptions = {}): Matrix {
    const all = (Array.isArray(parts) ? parts : [parts]) as readonly MatrixPart[];
    const full = all.map((part) => ({ ...part, name: `${this.#prefix}${part.name}` }));
    return this.#parameters.declareMatrix(full, decaysByName(full[0].name), options);
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
