/** Where the documents of a source of tokens begin. */
export interface DocumentIndex {
  /** How many there are. */
  readonly count: number;
  /** Fills `into` with how many tokens lie before documents, from number `first` on: ascending numbers. */
  read(first: number, into: Float64Array): void;
}

/** The number of tokens before a document. */
export function documentOffset(index: DocumentIndex, document: number): number {
  const found = new Float64Array(1);
  index.read(document, found);
  return found[0];
}

/** The first document that begins at `token` or later; `count` where none does. */
export function documentFrom(index: DocumentIndex, token: number): number {
  let [low, high] = [0, index.count];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (documentOffset(index, middle) < token) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The index of numbers in an array. */
export const arrayIndex = (starts: ArrayLike<number>): DocumentIndex => ({
  count: starts.length,
  read: (first, into) => {
    for (let i = 0; i < into.length; i++) into[i] = starts[first + i];
  },
});

/** Of the tokens from `start` to before `end`: what is left of the document that `start` lies in is one, too. */
export function sliceIndex(index: DocumentIndex, start: number, end: number): DocumentIndex {
  const first = documentFrom(index, start);
  const cut = end > start && (first === index.count || documentOffset(index, first) > start) ? 1 : 0;
  return {
    count: cut + Math.max(0, documentFrom(index, end) - first),
    read(from, into) {
      const begun = from < cut ? 1 : 0;
      if (begun) into[0] = 0;
      const rest = into.subarray(begun);
      index.read(first + from + begun - cut, rest);
      for (let i = 0; i < rest.length; i++) rest[i] -= start;
    },
  };
}

/** Of sources one after another; `starts` are the numbers of tokens before each. */
export function joinIndexes(indexes: readonly DocumentIndex[], starts: readonly number[]): DocumentIndex {
  const before = [0];
  for (const { count } of indexes) before.push(before[before.length - 1] + count);
  return {
    count: before[indexes.length],
    read(first, into) {
      for (const [i, index] of indexes.entries()) {
        const from = Math.max(first, before[i]);
        const end = Math.min(first + into.length, before[i + 1]);
        if (from >= end) continue;
        const part = into.subarray(from - first, end - first);
        index.read(from - before[i], part);
        for (let k = 0; k < part.length; k++) part[k] += starts[i];
      }
    },
  };
}

/** Of a source of `period` tokens that is repeated until there are `length`. */
export function repeatIndex(index: DocumentIndex, period: number, length: number): DocumentIndex {
  const whole = Math.floor(length / period);
  return {
    count: whole * index.count + documentFrom(index, length % period),
    read(first, into) {
      for (let done = 0; done < into.length; ) {
        const round = Math.floor((first + done) / index.count);
        const from = (first + done) % index.count;
        const part = into.subarray(done, Math.min(into.length, done + index.count - from));
        index.read(from, part);
        for (let k = 0; k < part.length; k++) part[k] += round * period;
        done += part.length;
      }
    },
  };
}
