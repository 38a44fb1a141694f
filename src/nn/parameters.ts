import { checkArray, checkOption } from '../checks.ts';
import { leaf, type Tensor } from '../compute/graph/tensor.ts';
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
}

/** What a network declared of one of its parameters. */
export interface Parameter {
  /** The full name, as in checkpoint files. */
  readonly name: string;
  /** Dimensions, the outermost first. */
  readonly shape: Shape;
  /** What fills it in a new model. */
  readonly init: Init;
  /** Where it lies: `decayed` or `plain` of its Parameters. */
  readonly region: Region;
}

/**
 * The parameters of a model in two regions, those that weight decay shrinks and the others: the optimizer makes one
 * flat pass over each.
 */
export class Parameters {
  /** Those that weight decay shrinks. */
  readonly decayed = new Region('parameters.decayed');
  /** Those that it leaves alone. */
  readonly plain = new Region('parameters.plain');
  readonly #list: Parameter[] = [];
  readonly #names = new Set<string>();

  /** `decayed` and `plain`; either may be empty. */
  get regions(): readonly Region[] {
    return [this.decayed, this.plain];
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

  /** Initial values by name; the same for the same seed. Throws a usage error where an Init gives other than it must. */
  initial(seed: number): Map<string, ArrayLike<number>> {
    const random = new Random(seed);
    const initial = new Map<string, ArrayLike<number>>();
    for (const { name, shape, init } of this.#list) {
      const values: unknown = init(random, shape);
      checkArray(`the initial values of "${name}"`, values, sizeOf(shape), shape.join(' × '), 'finite');
      initial.set(name, values);
    }
    return initial;
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
