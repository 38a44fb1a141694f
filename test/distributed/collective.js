// One rank of the test: checks every exchange against what it has to be, and tells rank 0's findings.
import assert from 'node:assert/strict';
import { evenParts, gatherTexts, sumOverRanks } from '../../dist/distributed/collective.js';
import { mpi } from '../../dist/node.js';

const [wait] = process.argv.slice(2);
const collective = await mpi({ wait });
const { rank, size } = collective;
const ranks = Array.from({ length: size }, (_, i) => i);

// Parts of unequal size, one of them empty, with a gap: element e of what rank a gives is 100 a + e.
const counts = ranks.map((i) => (i === 1 ? 0 : 3 + i));
const starts = ranks.map((i) => 2 + 10 * i);
for (const Kind of [Float32Array, Float64Array, Uint8Array]) {
  const send = Kind.from({ length: 10 * size + 10 }, (_, e) => 100 * rank + e);
  const received = new Kind(size * counts[rank]);
  await collective.allToAll(send, { starts, counts }, received);
  const expected = ranks.flatMap((from) =>
    Array.from({ length: counts[rank] }, (_, e) => 100 * from + starts[rank] + e),
  );
  assert.deepEqual(received, Kind.from(expected));

  const whole = new Kind(10 * size + 10);
  whole.set(send.subarray(0, counts[rank]), starts[rank]);
  const all = new Kind(whole.length);
  for (const from of ranks) for (let e = 0; e < counts[from]; e++) all[starts[from] + e] = 100 * from + e;
  const gathered = rank === 0 ? new Kind(whole.length) : undefined;
  await collective.gather(send.slice(0, counts[rank]), { starts, counts }, gathered);
  if (gathered) assert.deepEqual(gathered, all);
  await collective.allGather(whole, { starts, counts });
  assert.deepEqual(whole, all);

  const told = Kind.from([rank + 1, 7 * rank]);
  await collective.broadcast(told);
  assert.deepEqual(told, Kind.of(1, 0));
}

// Large enough for another protocol of the library than small ones; without waiting in between.
const many = 300_000;
const large = Float32Array.from({ length: many * size }, (_, e) => rank + e);
const back = new Float32Array(many * size);
const [exchange] = [collective.allToAll(large, evenParts(size, many), back), collective.barrier()];
await exchange;
for (const from of ranks)
  for (const e of [0, 1, many - 1]) assert.equal(back[from * many + e], Math.fround(from + rank * many + e));

// Added in the order of ranks: another order gives 0 or other bits.
const terms = [1e16, 1, -1e16, 1];
const [sum] = await sumOverRanks(collective, [terms[rank]]);
assert.equal(
  sum,
  terms.slice(0, size).reduce((a, b) => a + b, 0),
);
assert.deepEqual(
  await gatherTexts(collective, 'é'.repeat(rank)),
  ranks.map((i) => 'é'.repeat(i)),
);
// From rank to rank: of any length, several at a time, in their order.
if (rank === 0) {
  const given = ranks.slice(1).map(async (other) => {
    await collective.send(other, new Uint8Array(0));
    await collective.send(
      other,
      Uint8Array.from({ length: 100_000 }, (_, i) => i + other),
    );
    return collective.receive(other);
  });
  assert.deepEqual(
    await Promise.all(given),
    ranks.slice(1).map((other) => Uint8Array.of(other, 7)),
  );
} else {
  assert.equal((await collective.receive(0)).length, 0);
  assert.deepEqual(
    await collective.receive(0),
    Uint8Array.from({ length: 100_000 }, (_, i) => i + rank),
  );
  await collective.send(0, Uint8Array.of(rank, 7));
}
if (rank === 0) process.stdout.write(`${JSON.stringify({ size, description: collective.description })}\n`);
await collective.close();
await assert.rejects(collective.barrier(), /was closed/);
