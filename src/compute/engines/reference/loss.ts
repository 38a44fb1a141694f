import { idNamed, type Operands } from './operands.ts';

export function crossEntropyForward(args: Operands<'crossEntropyForward'>): void {
  const { vocab, logits, targets, loss, logNormalizer } = args;
  for (let row = 0; row < args.rows; row++) {
    const at = row * args.ldLogits;
    let max = -Infinity;
    for (let v = 0; v < vocab; v++) max = Math.max(max, logits[at + v]);
    let sum = 0;
    for (let v = 0; v < vocab; v++) sum += Math.exp(logits[at + v] - max);
    logNormalizer[row] = max + Math.log(sum);
    const target = idNamed(targets[row], vocab);
    if (targets[row] < 0) loss[row] = 0;
    else loss[row] = target < 0 ? Number.NaN : logNormalizer[row] - logits[at + target];
  }
}

export function crossEntropyBackward(args: Operands<'crossEntropyBackward'>): void {
  const { vocab, logits, targets, logNormalizer, dloss, dlogits } = args;
  for (let row = 0; row < args.rows; row++) {
    const target = idNamed(targets[row], vocab);
    for (let v = 0; v < vocab; v++) {
      const probability = Math.exp(logits[row * args.ldLogits + v] - logNormalizer[row]);
      const hit = target < 0 ? Number.NaN : Number(v === target);
      dlogits[row * args.lddlogits + v] = targets[row] < 0 ? 0 : (probability - hit) * dloss[row];
    }
  }
}
