import { defineOp, oneCall, type Tensor } from './op.ts';
import { createNode, requireShape } from './tensor.ts';

const crossEntropyOp = defineOp({
  name: 'crossEntropy',
  ...oneCall('crossEntropyForward'),
  constants: ['targets', 'logNormalizer'],
  gradient: ({ inputs, outputs: { logNormalizer }, attributes }, { dloss }) =>
    createNode(
      crossEntropyBackwardOp,
      { ...inputs, logNormalizer, dloss },
      { dlogits: inputs.logits.shape },
      attributes,
    ),
});

const crossEntropyBackwardOp = defineOp({ name: 'crossEntropyBackward', ...oneCall('crossEntropyBackward') });

/**
 * −log softmax(logits)[target] for each row, in nats: logits [..., V], targets [...], whole numbers from 0 to V − 1; 0 and
 * without a gradient where the target is negative. Any other target gives NaN.
 */
export function crossEntropy(logits: Tensor, targets: Tensor): Tensor {
  const count = logits.rows;
  requireShape(
    targets.shape.reduce((a, b) => a * b, 1) === count,
    'crossEntropy',
    `${count} targets`,
    logits,
    targets,
  );
  const shapes = { loss: targets.shape, logNormalizer: targets.shape };
  return createNode(crossEntropyOp, { logits, targets }, shapes, { rows: count, vocab: logits.cols }).loss;
}
