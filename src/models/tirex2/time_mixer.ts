import { add } from '../../compute/graph/elementwise.ts';
import { norm } from '../../compute/graph/norm.ts';
import { cells } from '../../compute/graph/recurrent.ts';
import type { Tensor } from '../../compute/graph/tensor.ts';
import { concat } from '../../compute/graph/views.ts';
import { constantInit, smallInit } from '../../nn/init.ts';
import type { LayerOutput, LayerState, Pass, StateShapes } from '../../nn/layer.ts';
import { Linear } from '../../nn/linear.ts';
import { reverseSteps } from '../../nn/padding.ts';
import type { Scope } from '../../nn/parameters.ts';
import { LargeMlstmLayer } from '../large/mlstm_layer.ts';
import { SwiGlu, WeightedRmsNorm } from '../tirex/layers.ts';
import { TirexSlstm } from '../tirex/slstm.ts';
import { type TokenRange, tokensOf } from '../tirex/tokens.ts';
import { feedForwardDim, type Tirex2Cell, type Tirex2Config } from './config.ts';
import { joinRows, type RowLayout, splitRows } from './rows.ts';

const EPS = 1e-6;
const GATE_SOFT_CAP = 15;

/** A cell over the tokens of each row: its result, with the residual where there is one. */
interface Cell {
  stateShapes(rows: number): StateShapes;
  forward(x: Tensor, pass: Pass, state: LayerState, residual?: Tensor, keep?: number): LayerOutput;
}

/** w ∘ (x − mean) / √(var + 1e-6), each head by itself. */
class HeadNorm {
  readonly #weight: Tensor;
  readonly #heads: number;

  constructor(scope: Scope, size: number, heads: number) {
    this.#weight = scope.parameter('weight', [size], constantInit(1));
    this.#heads = heads;
  }

  forward(y: Tensor): Tensor {
    const options = { kind: 'layer', groups: this.#heads, eps: EPS, weightOffset: 0 } as const;
    return norm(y, this.#weight, undefined, options);
  }
}

class SlstmCell implements Cell {
  readonly #dim: number;
  readonly #layer: TirexSlstm;

  constructor(scope: Scope, { embeddingDim, numSlstmHeads }: Tirex2Config) {
    this.#dim = embeddingDim;
    const behind = new HeadNorm(scope.child('group_norm'), embeddingDim, numSlstmHeads);
    this.#layer = new TirexSlstm(scope, scope, embeddingDim, numSlstmHeads, behind);
  }

  stateShapes(rows: number): StateShapes {
    return Object.fromEntries(cells.slstm.states.map((name) => [name, [rows, this.#dim]]));
  }

  forward(x: Tensor, pass: Pass, state: LayerState, residual?: Tensor, keep?: number): LayerOutput {
    const output = this.#layer.forward(x, pass, state, keep);
    return residual ? { ...output, y: add(residual, output.y) } : output;
  }
}

const makeCell = (scope: Scope, cell: Tirex2Cell, config: Tirex2Config): Cell =>
  cell === 'slstm'
    ? new SlstmCell(scope, config)
    : new LargeMlstmLayer(scope, {
        embeddingDim: config.embeddingDim,
        numHeads: config.numHeads,
        numBlocks: config.blocks.length,
        useBias: false,
        qkDimFactor: 0.5,
        vDimFactor: 1,
        gateSoftCap: GATE_SOFT_CAP,
        eps: EPS,
        normEps: EPS,
      });

/**
 * Each row by itself: x ← x + cell(norm(x)); x + SwiGLU(norm(x)). What is known ahead is read from both ends by the same
 * cell: W [forward | backward].
 */
export class TimeMixer {
  readonly #norm: WeightedRmsNorm;
  readonly #cell: Cell;
  readonly #combination: Linear;
  readonly #feedForwardNorm: WeightedRmsNorm;
  readonly #feedForward: SwiGlu;

  constructor(scope: Scope, cell: Tirex2Cell, config: Tirex2Config) {
    const { embeddingDim, blocks } = config;
    this.#norm = new WeightedRmsNorm(scope.child('norm_lstm'), embeddingDim);
    this.#cell = makeCell(scope.child('fwd_cell'), cell, config);
    this.#combination = new Linear(scope.child('combination'), 2 * embeddingDim, embeddingDim, {
      weight: smallInit(2 * embeddingDim),
    });
    this.#feedForwardNorm = new WeightedRmsNorm(scope.child('norm_ffn'), embeddingDim);
    this.#feedForward = new SwiGlu(scope.child('ffn'), embeddingDim, feedForwardDim(config), blocks.length);
  }

  stateShapes(rows: number): StateShapes {
    return this.#cell.stateShapes(rows);
  }

  /** x [rows, L, D] to all tokens or those that are read; the state is that of a layout of which nothing is known ahead. */
  forward(
    x: Tensor,
    layout: RowLayout,
    pass: Pass,
    state: LayerState,
    keep?: number,
    read?: TokenRange,
  ): LayerOutput {
    const u = this.#norm.forward(x);
    const mixed =
      layout.known === 0
        ? this.#cell.forward(u, pass, state, x, keep)
        : { y: add(x, this.#bothWays(u, layout, pass)), state: {} };
    const y = read ? tokensOf(mixed.y, read) : mixed.y;
    return { y: this.#feedForward.forward(this.#feedForwardNorm.forward(y), y), state: mixed.state };
  }

  #bothWays(u: Tensor, { series, known }: RowLayout, pass: Pass): Tensor {
    const [rows] = u.shape;
    const both = known * series;
    const [, ahead] = splitRows(u, rows - both);
    const { y } = this.#cell.forward(joinRows(u, reverseSteps(ahead, undefined)), pass, {});
    const [forward, backward] = splitRows(y, rows);
    const [others, aheadForward] = splitRows(forward, rows - both);
    const combined = this.#combination.forward(concat([aheadForward, reverseSteps(backward, undefined)]));
    return joinRows(others, combined);
  }
}
