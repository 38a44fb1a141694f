/** ln p of tokens, of all the model knows and before any option of sampling. */
export interface LogProbability {
  /** That of the token that was chosen. */
  readonly chosen: number;
  /** The likeliest tokens, the likeliest first. */
  readonly likeliest: readonly {
    /** The token. */
    readonly id: number;
    /** ln p of it. */
    readonly logProbability: number;
  }[];
}

/** ln softmax(logits) of one token and of the `count` likeliest; of equal ones that with the lower id comes first. */
export function logProbabilities(
  logits: ArrayLike<number>,
  vocabSize: number,
  chosen: number,
  count: number,
): LogProbability {
  let most = Number.NEGATIVE_INFINITY;
  for (let id = 0; id < vocabSize; id++) most = Math.max(most, logits[id]);
  let sum = 0;
  for (let id = 0; id < vocabSize; id++) sum += Math.exp(logits[id] - most);
  const logSum = most + Math.log(sum);
  const best: number[] = [];
  for (let id = 0; id < vocabSize && count > 0; id++) {
    if (best.length === count && logits[id] <= logits[best[count - 1]]) continue;
    let at = best.length;
    while (at > 0 && logits[best[at - 1]] < logits[id]) at--;
    best.splice(at, 0, id);
    if (best.length > count) best.pop();
  }
  return {
    chosen: logits[chosen] - logSum,
    likeliest: best.map((id) => ({ id, logProbability: logits[id] - logSum })),
  };
}
