import { checkFloat, checkOption, checkWhole } from '../checks.ts';

/** Low-rank matrices that are trained while a model's own parameters stay as they are (LoRA, Hu et al. 2021). */
export interface AdapterOptions {
  /** Rows of A and columns of B. */
  readonly rank: number;
  /** B A is multiplied with alpha / rank. */
  readonly alpha: number;
  /**
   * Which matrices have them: places in the network by their names ("backbone.blocks.0.mlstm_layer.q") or by the ends of
   * these ("q"). Left out: every matrix but the output layer's.
   */
  readonly targets?: readonly string[] | undefined;
}

/** The adapters of a design. */
export interface Adapter extends AdapterOptions {
  /** Where the model lies whose parameters they go with: a path or an address; empty where there is none. */
  readonly base: string;
  /** Where it is said what they are: goes before errors. */
  readonly source: string;
  /** Of errors in what they are: of an option, or of a file. Left out: usage. */
  readonly code?: 'usage' | 'checkpoint';
}

export const LARGEST_RANK = 2 ** 16;

/** Throws a usage error for options that are not right. */
export function checkAdapter({ rank, alpha, targets, source }: Adapter): void {
  checkWhole(`${source}: rank`, rank, 1, LARGEST_RANK);
  checkFloat(`${source}: alpha`, alpha, 'a number above 0', (value) => value > 0);
  if (targets === undefined) return;
  const names =
    Array.isArray(targets) && targets.length > 0 && targets.every((t) => typeof t === 'string' && t !== '');
  checkOption(names, `${source}: targets`, 'names of matrices', targets);
}

/** Whether a place in the network is one of those that a target names. */
export const isTarget = (module: string, target: string): boolean =>
  module === target || module.endsWith(`.${target}`);
