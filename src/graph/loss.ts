import { createNode, type Op, requireShape, type Tensor } from './tensor.ts';

const crossEntropyOp: Op = {
  name: 'crossEntropy',
  backward(node, [dloss]) {
    const [logits, targets] = node.inputs as [Tensor, Tensor];
    const inputs = [logits, targets, node.outputs[1], dloss];
    return [dloss && createNode(crossEntropyBackwardOp, inputs, undefined, [logits.shape])[0], undefined];
  },
  emit(node, to) {
    const [logits, targets] = node.inputs as [Tensor, Tensor];
    const x = to.matrix(logits);
    to.call('crossEntropyForward', {
      rows: logits.rows,
      vocab: logits.cols,
      logits: x.at,
      ldLogits: x.ld,
      targets: to.contiguous(targets),
      loss: to.contiguous(node.outputs[0]),
      logNormalizer: to.contiguous(node.outputs[1]),
    });
  },
};

const crossEntropyBackwardOp: Op = {
  name: 'crossEntropyBackward',
  stridedOutputs: [0],
  emit(node, to) {
    const [logits, targets, logNormalizer, dloss] = node.inputs as [Tensor, Tensor, Tensor, Tensor];
    const x = to.matrix(logits);
    const dlogits = to.matrix(node.outputs[0]);
    to.call('crossEntropyBackward', {
      rows: logits.rows,
      vocab: logits.cols,
      logits: x.at,
      ldLogits: x.ld,
      targets: to.contiguous(targets),
      logNormalizer: to.contiguous(logNormalizer),
      dloss: to.contiguous(dloss),
      dlogits: dlogits.at,
      lddlogits: dlogits.ld,
    });
  },
};

/** −log softmax(logits)[target] for each row: logits [..., V], targets [...]; 0 where the target is negative. */
export function crossEntropy(logits: Tensor, targets: Tensor): Tensor {
  const count = logits.rows;
  requireShape(
    targets.shape.reduce((a, b) => a * b, 1) === count,
    'crossEntropy',
    `${count} targets`,
    logits,
    targets,
  );
  return createNode(crossEntropyOp, [logits, targets], undefined, [targets.shape, targets.shape])[0];
}
