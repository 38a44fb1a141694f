import type { Tensor } from '../../compute/graph/tensor.ts';
import { type LayerOutput, type LayerState, type StateShapes, stateBelow, under } from '../../nn/layer.ts';

/** Blocks one behind another; the state of block i is at `place.i`. */
export class BlockStack<Block extends { stateShapes(rows: number): StateShapes }> {
  readonly #place: string;
  readonly #blocks: readonly Block[];

  constructor(place: string, blocks: readonly Block[]) {
    this.#place = place;
    this.#blocks = blocks;
  }

  stateShapes(rows: number): StateShapes {
    return Object.assign(
      {},
      ...this.#blocks.map((block, i) => under(`${this.#place}.${i}`, block.stateShapes(rows))),
    );
  }

  /** To the last block's vectors, and `hidden`, those of every block. `run` applies a block. */
  forward(
    x: Tensor,
    state: LayerState,
    run: (block: Block, x: Tensor, state: LayerState, isLast: boolean) => LayerOutput,
  ): LayerOutput & { readonly hidden: readonly Tensor[] } {
    const hidden: Tensor[] = [];
    const states: Record<string, Tensor> = {};
    let y = x;
    for (const [i, block] of this.#blocks.entries()) {
      const place = `${this.#place}.${i}`;
      const output = run(block, y, stateBelow(state, place), i === this.#blocks.length - 1);
      y = output.y;
      hidden.push(y);
      Object.assign(states, under(place, output.state));
    }
    return { y, state: states, hidden };
  }
}
