import { describe, expect, it } from 'vitest';
import { cpuLimits } from '../../src/compute/program/limits.ts';
import type { Program } from '../../src/compute/program/program.ts';
import { languageModelConfig } from '../../src/models/xlstm/config.ts';
import { XlstmLanguageModel } from '../../src/models/xlstm/language_model.ts';
import { inferenceProgram, stateRegion } from '../../src/nn/inference_programs.ts';
import { Parameters, Scope } from '../../src/nn/parameters.ts';
import { languageModelObjective as objective } from '../../src/training/objective.ts';
import { gradientProgram, optimizerRegions } from '../../src/training/step_programs.ts';

/** An mLSTM block and an sLSTM block with its feed-forward part. */
const config = languageModelConfig({
  vocabSize: 50,
  embeddingDim: 32,
  numBlocks: 2,
  numHeads: 4,
  slstmAt: [1],
});
const parameters = new Parameters();
const network = new XlstmLanguageModel(new Scope(parameters), config);
const limits = cpuLimits;

function trainingStep(): Program {
  const computed = {
    network,
    objective,
    shape: { batchSize: 2, length: 96 },
    state: stateRegion(network, 2),
    limits,
  };
  const optimizer = { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0.1 };
  return gradientProgram(computed, optimizerRegions(parameters), 'set', { optimizer, clipNorm: 1 });
}

function callsByKernel(program: Program): Record<string, number> {
  const calls: Record<string, number> = {};
  for (const { kernel } of program.instructions) calls[kernel] = (calls[kernel] ?? 0) + 1;
  return calls;
}

/**
 * What a Program costs, to be compared with numbers that were looked into once. Where a change means to move one, run the
 * test, see in the difference and in `program.print()` that nothing else moved, and write the new number down.
 */
const costs = (program: Program) => ({
  calls: callsByKernel(program),
  workspaceBytes: program.work.bytes,
  totalBytes: program.regions.reduce((sum, region) => sum + region.bytes, 0),
});

describe('the Programs of a small mixed xLSTM', () => {
  it('training step', () => {
    expect(costs(trainingStep())).toEqual({
      calls: {
        // Fusion and placement: what is no longer fused, or copied rather than written to its place, adds to it.
        // Forward: the sLSTM's residual, GELU with its gate, the loss's weight. Backward: the loss's gradient and its
        // repetition for each token, GELU again with both gradients (it is not stored). Copies: gradients of the sLSTM's
        // R and bias, which are made in another shape, 2 states of convolutions and 2 of the sLSTM, which the backward pass
        // still reads. Update: clipping, and 3 numbers of the schedule side by side.
        map: 16,
        // 5 matrices, each with 2 products for gradients; R's gradient for each of the 4 gates. Residuals are part of them.
        gemm: 19,
        // q, k, v and gates of the mLSTM in one call each way: else 3 more of each kernel for small blocks.
        mlstmProjectionsForward: 1,
        mlstmProjectionsBackward: 1,
        // The sLSTM's 4 gates and the gradients of what they read; of their weights. Sums of gradients are part of them.
        blockLinear: 8,
        blockLinearGradient: 4,
        mlstmForward: 1,
        mlstmBackward: 1,
        recurrentForward: 1,
        recurrentBackward: 1,
        // SiLU is part of them.
        convForward: 2,
        convBackward: 2,
        // The mLSTM's norm with its gate and skip.
        gatedNormForward: 1,
        gatedNormBackward: 1,
        normForward: 5,
        normBackward: 5,
        embeddingForward: 1,
        embeddingBackward: 1,
        crossEntropyForward: 1,
        crossEntropyBackward: 1,
        // The loss; the gradient of the sLSTM's bias; the squared norm of the gradient: of the first region whole blocks,
        // their sum and the rest, of the second what is less than a block.
        reduce: 6,
        // One flat pass over each region of parameters.
        adamw: 2,
      },
      // Packing: arrays take the place of those that are no longer needed. Side by side they take 2,664,256.
      workspaceBytes: 1_200_960,
      // With inputs, parameters, gradients, both moments and the state of 2 sequences.
      totalBytes: 1_547_904,
    });
  });

  it('decode step', () => {
    expect(costs(inferenceProgram(network, stateRegion(network, 1), 1, 1, 'last', limits))).toEqual({
      calls: {
        // The sLSTM's residual, GELU with its gate; the 2 convolutions' states, which cannot be written where they are read from.
        map: 4,
        gemm: 5,
        mlstmProjectionsForward: 1,
        blockLinear: 4,
        // In place: C, n, m and the states of the sLSTM are written over the old ones, without a copy.
        mlstmStep: 1,
        recurrentForward: 1,
        convForward: 2,
        gatedNormForward: 1,
        normForward: 5,
        embeddingForward: 1,
      },
      workspaceBytes: 2_816,
      // With tokens, logits, parameters and the state.
      totalBytes: 92_224,
    });
  });
});
