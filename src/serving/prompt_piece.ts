import { pieceLength } from '../generation/piece_length.ts';
import type { Model } from '../nn/model.ts';

/** Operations of a piece of a prompt: what is written on waits for it. Some 50 ms on two cores. */
const PIECE_FLOPS = 8e9;

/** Tokens of a prompt that are read at a time, at most. */
export const promptPiece = (model: Model): number =>
  pieceLength(Number.POSITIVE_INFINITY, Math.floor(PIECE_FLOPS / (2 * model.parameters.count)));
