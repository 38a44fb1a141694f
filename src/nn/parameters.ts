import { Random } from '../data/random.ts';
import { leaf, type Tensor } from '../graph/tensor.ts';
import { Region, type Shape, sizeOf } from '../program/region.ts';

/** Fills a new parameter. */
export type Init = (random: Random, shape: Shape) => ArrayLike<number>;

export interface Parameter {
  /** The full name, as in checkpoint files. */
  readonly name: string;
  readonly shape: Shape;
  readonly init: Init;
  readonly region: Region;
}

/**
 * The parameters of a model in two regions, those that weight decay shrinks and the others: the optimizer makes one
 * flat pass over each.
 */
export class Parameters {
  readonly decayed = new Region('parameters.decayed');
  readonly plain = new Region('parameters.plain');
  readonly #list: Parameter[] = [];

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

  declare(name: string, shape: Shape, init: Init, decays: boolean): Tensor {
    const region = decays ? this.decayed : this.plain;
    this.#list.push({ name, shape, init, region });
    return leaf(region, name, shape);
  }

  /** Declares parameters that lie one after another and are one array of the given shape to the graph. */
  declareJoined(parts: readonly Omit<Parameter, 'region'>[], shape: Shape, decays: boolean): Tensor {
    const region = decays ? this.decayed : this.plain;
    for (const part of parts) this.#list.push({ ...part, region });
    const name = parts.map((part) => part.name).join(' + ');
    region.join(name, shape, parts);
    return leaf(region, name, shape);
  }

  /** Initial values by name; the same for the same seed. */
  initial(seed: number): Map<string, ArrayLike<number>> {
    const random = new Random(seed);
    return new Map(this.#list.map((p) => [p.name, p.init(random, p.shape)]));
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

  child(name: string): Scope {
    return new Scope(this.#parameters, `${this.#prefix}${name}.`);
  }

  /**
   * Declares a parameter. The rule of the official package decides on weight decay: names that contain "weight" and
   * not "norm" decay; `decays` overrides it.
   */
  parameter(name: string, shape: Shape, init: Init, decays?: boolean): Tensor {
    const full = `${this.#prefix}${name}`;
    return this.#parameters.declare(full, shape, init, decays ?? decaysByName(full));
  }

  /** Declares several parameters of one kind that the graph sees as one array, joined along the first dimension. */
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
