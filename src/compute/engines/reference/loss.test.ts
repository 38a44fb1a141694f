import { describe, expect, it } from 'vitest';
import { crossEntropyBackward, crossEntropyForward } from './loss.ts';
import { expectGradients } from './testing/gradient_check.ts';
import { dot, randomValues } from './testing/values.ts';

describe('cross entropy', () => {
  it('is log(vocab) for equal logits, 0 where ignored, and does not overflow', () => {
    const loss = new Float64Array(3);
    const logNormalizer = new Float64Array(3);
    const logits = Float64Array.of(5, 5, 5, 5, 0, 0, 0, 0, 1000, 1000, -1000, 0);
    const targets = Float64Array.of(2, -1, 2);
    crossEntropyForward({ rows: 3, vocab: 4, logits, ldLogits: 4, targets, loss, logNormalizer });
    expect(loss[0]).toBeCloseTo(Math.log(4), 14);
    expect(loss[1]).toBe(0);
    expect(loss[2]).toBeCloseTo(2000 + Math.LN2, 10);
    expect(logNormalizer[2]).toBeCloseTo(1000 + Math.LN2, 10);
  });

  it('agrees with differences', () => {
    const [rows, vocab, ldLogits] = [4, 5, 6];
    const logits = randomValues(rows * ldLogits, 1, 3);
    const targets = Float64Array.of(4, 0, -1, 2);
    const dloss = randomValues(rows, 2);
    const logNormalizer = new Float64Array(rows);
    const run = (): number => {
      const loss = new Float64Array(rows);
      crossEntropyForward({ rows, vocab, logits, ldLogits, targets, loss, logNormalizer });
      return dot(dloss, loss);
    };
    run();
    const dlogits = new Float64Array(logits.length).fill(7);
    crossEntropyBackward({
      ...{ rows, vocab, logits, ldLogits, targets, logNormalizer },
      ...{ dloss, dlogits, lddlogits: ldLogits },
    });
    for (let row = 0; row < rows; row++) {
      expect(dlogits[row * ldLogits + vocab], 'the gap between rows is not written').toBe(7);
      dlogits[row * ldLogits + vocab] = 0;
    }
    expect([...dlogits.slice(2 * ldLogits, 3 * ldLogits)]).toEqual([0, 0, 0, 0, 0, 0]);
    expectGradients(run, { logits: { values: logits, gradient: dlogits } });
  });
});
