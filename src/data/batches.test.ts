import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { XlstmError } from '../errors.ts';
import { type BatchOptions, TokenBatches } from './batches.ts';

const range = (count: number): Int32Array => Int32Array.from({ length: count }, (_, k) => k);
const shapes = fc.record({
  batchSize: fc.integer({ min: 1, max: 5 }),
  length: fc.integer({ min: 1, max: 9 }),
  extra: fc.nat(150),
});

describe('TokenBatches', () => {
  it('cuts the stream into lanes', () => {
    const batches = new TokenBatches(range(14), { batchSize: 2, length: 3, order: 'contiguous' });
    expect(batches.batchesPerEpoch).toBe(2);
    const first = batches.next();
    expect([...first.tokens]).toEqual([0, 1, 2, 6, 7, 8]);
    expect([...first.targets]).toEqual([1, 2, 3, 7, 8, 9]);
    expect(first.continues).toBe(false);
    const second = batches.next();
    expect([...second.tokens]).toEqual([3, 4, 5, 9, 10, 11]);
    expect(second.continues).toBe(true);
    expect(batches.position()).toEqual({ epoch: 1, batch: 0 });
    const again = batches.next();
    expect([...again.tokens]).toEqual([...first.tokens]);
    expect(again.continues).toBe(false);
  });

  it('continues every lane from batch to batch and uses nearly all tokens', () => {
    fc.assert(
      fc.property(shapes, ({ batchSize, length, extra }) => {
        const count = batchSize * length + 1 + extra;
        const batches = new TokenBatches(range(count), { batchSize, length, order: 'contiguous' });
        const lanes: number[][] = Array.from({ length: batchSize }, () => []);
        for (let k = 0; k < batches.batchesPerEpoch; k++) {
          const { tokens, targets } = batches.next();
          for (let row = 0; row < batchSize; row++) {
            lanes[row].push(...tokens.subarray(row * length, (row + 1) * length));
          }
          expect([...targets]).toEqual([...tokens].map((token) => token + 1));
        }
        for (const lane of lanes) expect(lane).toEqual(lane.map((_, k) => lane[0] + k));
        expect(new Set(lanes.flat()).size).toBe(batches.batchesPerEpoch * batchSize * length);
        expect(count - lanes.flat().length).toBeLessThanOrEqual(batchSize * length);
      }),
    );
  });

  it('shuffles whole windows, each once an epoch, in an order of its own for each epoch and seed', () => {
    fc.assert(
      fc.property(shapes, fc.nat(), ({ batchSize, length, extra }, seed) => {
        const count = batchSize * length + 1 + extra;
        const batches = new TokenBatches(range(count), { batchSize, length, order: 'shuffled', seed });
        const starts: number[] = [];
        for (let k = 0; k < batches.batchesPerEpoch; k++) {
          const { tokens, targets, continues } = batches.next();
          expect(continues).toBe(false);
          for (let row = 0; row < batchSize; row++) {
            const start = tokens[row * length];
            starts.push(start);
            expect(start % length).toBe(0);
            expect([...targets.subarray(row * length, (row + 1) * length)]).toEqual(
              Array.from({ length }, (_, t) => start + t + 1),
            );
          }
        }
        expect(new Set(starts).size).toBe(starts.length);
        expect(count - starts.length * length).toBeLessThanOrEqual(batchSize * length);
      }),
    );
    const order = (seed: number, epoch: number): string =>
      [
        ...new TokenBatches(range(101), { batchSize: 10, length: 1, order: 'shuffled', seed }).at({
          epoch,
          batch: 0,
        }).tokens,
      ].join();
    expect(order(1, 0)).toBe(order(1, 0));
    expect(new Set([order(1, 0), order(1, 1), order(1, 2), order(2, 0), order(0, 0)]).size).toBe(5);
  });

  it('takes documents in an order of its own for each epoch, whole, lane by lane', () => {
    const documents = fc.array(fc.nat(6), { minLength: 1, maxLength: 40 });
    fc.assert(
      fc.property(documents, shapes, fc.nat(), (lengths, { batchSize, length }, seed) => {
        // Each begins with the token 0; its others are its number.
        const stream = Int32Array.from(
          lengths.flatMap((n, i) => [0, ...Array.from({ length: n }, () => i + 1)]),
        );
        fc.pre(stream.length > batchSize * length);
        const options = { batchSize, length, order: 'documents', seed, documentStart: 0 } as const;
        const batches = new TokenBatches(stream, options);
        const read = (): { lanes: number[][]; bounds: boolean } => {
          const lanes: number[][] = Array.from({ length: batchSize }, () => []);
          let bounds = true;
          for (let k = 0; k < batches.batchesPerEpoch; k++) {
            const { tokens, targets, reset, continues } = batches.next();
            bounds &&= continues === k > 0 && tokens.every((token, i) => (reset[i] === 1) === (token === 0));
            for (let row = 0; row < batchSize; row++) {
              lanes[row].push(...tokens.subarray(row * length, (row + 1) * length));
              expect([...targets.subarray(row * length, (row + 1) * length - 1)]).toEqual([
                ...tokens.subarray(row * length + 1, (row + 1) * length),
              ]);
            }
          }
          return { lanes, bounds };
        };
        const [first, second] = [read(), read()];
        expect(first.bounds && second.bounds).toBe(true);
        for (const { lanes } of [first, second]) {
          for (const lane of lanes) {
            // A document that is neither the first nor the last of a lane is there as it was.
            const starts = lane.flatMap((token, i) => (token === 0 ? [i] : []));
            for (const [i, start] of starts.slice(0, -1).entries()) {
              const rest = lane.slice(start + 1, starts[i + 1]);
              if (rest.length > 0) expect(rest).toEqual(Array(lengths[rest[0] - 1]).fill(rest[0]));
            }
          }
        }
        batches.seek({ epoch: 0, batch: 0 });
        expect(read()).toEqual(first);
      }),
    );
    const order = (seed: number, epoch: number): string =>
      [
        ...new TokenBatches(
          Int32Array.from({ length: 100 }, (_, i) => (i % 2 === 0 ? 0 : i)),
          { batchSize: 1, length: 90, order: 'documents', seed, documentStart: 0 },
        ).at({ epoch, batch: 0 }).tokens,
      ].join();
    expect(order(1, 0)).toBe(order(1, 0));
    expect(new Set([order(1, 0), order(1, 1), order(2, 0)]).size).toBe(3);
    expect(() => new TokenBatches(range(9), { batchSize: 1, length: 2, order: 'documents' })).toThrow(
      /documentStart: expected the token that starts a document/,
    );
  });

  it('resumes exactly from a position', () => {
    fc.assert(
      fc.property(
        shapes,
        fc.constantFrom('contiguous' as const, 'shuffled' as const),
        fc.nat(40),
        (shape, order, done) => {
          const { batchSize, length, extra } = shape;
          const stream = range(batchSize * length + 1 + extra);
          const options: BatchOptions = { batchSize, length, order, seed: 3, documentStart: 4 };
          const whole = new TokenBatches(stream, options);
          for (let k = 0; k < done; k++) whole.next();
          const resumed = new TokenBatches(stream, options);
          resumed.seek(JSON.parse(JSON.stringify(whole.position())));
          for (let k = 0; k < 5; k++) expect(resumed.next()).toEqual(whole.next());
        },
      ),
    );
  });

  it('marks where documents start', () => {
    const stream = Int32Array.of(9, 1, 2, 9, 3, 9, 9, 4, 5);
    const options = { batchSize: 2, length: 4, order: 'contiguous', documentStart: 9 } as const;
    expect([...new TokenBatches(stream, options).next().reset]).toEqual([1, 0, 0, 1, 0, 1, 1, 0]);
    const { documentStart: _, ...without } = options;
    expect([...new TokenBatches(stream, without).next().reset]).toEqual([0, 0, 0, 0, 0, 0, 0, 0]);
  });

  it('says how many tokens a batch needs', () => {
    const options = { batchSize: 4, length: 8, order: 'contiguous' } as const;
    expect(new TokenBatches(range(33), options).batchesPerEpoch).toBe(1);
    expect(new TokenBatches(range(33), { ...options, order: 'shuffled' }).batchesPerEpoch).toBe(1);
    expect(() => new TokenBatches(range(32), options)).toThrow(/4 × 8 tokens and one more need 33, found 32/);
    try {
      new TokenBatches(range(0), options);
      throw new Error('no error was thrown');
    } catch (error) {
      expect((error as XlstmError).code).toBe('data');
    }
  });

  it('refuses options and positions that cannot be', () => {
    expect(() => new TokenBatches(range(9), { batchSize: 0, length: 1, order: 'shuffled' })).toThrow(
      /batchSize: .* 0/,
    );
    expect(() => new TokenBatches(range(9), { batchSize: 1, length: 1.5, order: 'shuffled' })).toThrow(
      /length: .* 1.5/,
    );
    const sound = { batchSize: 1, length: 1, order: 'shuffled', seed: 1, documentStart: 0 } as const;
    const wrong: readonly (readonly [string, readonly unknown[]])[] = [
      ['batchSize', [undefined, null, '1', Number.NaN, -1, 0.5]],
      ['length', [undefined, null, '1', Number.NaN, -1, 0]],
      ['order', [undefined, 'x', 'Shuffled', 1]],
      ['seed', [null, '1', Number.NaN, -1, 0.5]],
      ['documentStart', [null, '1', Number.NaN, -1, 0.5]],
      ['shuffle', [true]],
    ];
    for (const [name, values] of wrong) {
      for (const value of values) {
        const options = { ...sound, [name]: value } as unknown as BatchOptions;
        expect(() => new TokenBatches(range(9), options), `${name} ${value}`).toThrow(
          expect.objectContaining({ code: 'usage', message: expect.stringContaining(name) }),
        );
      }
    }
    const negative = Int32Array.of(0, 1, -1, 2);
    expect(() => new TokenBatches(negative, sound)).toThrow(/tokens: position 2: .* found -1/);
    const batches = new TokenBatches(range(9), { batchSize: 2, length: 2, order: 'contiguous' });
    expect(() => batches.seek({ epoch: 0, batch: 2 })).toThrow(/batch from 0 to 1, found epoch 0, batch 2/);
    expect(() => batches.seek({ epoch: -1, batch: 0 })).toThrow(XlstmError);
  });
});
