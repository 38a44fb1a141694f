// What threads gain: a product of 512³ and a training step of dim 512 on one thread, on two threads, and in two
// processes of one thread each, in turns, on the wasm and the native engine.
//   node bench/threads.js [rounds=5] [folder of a built checkout=.]
// Two processes share no memory and never wait for each other: what they reach together is what the machine gives to
// two cores at once. Printed are medians over the rounds and, for both kinds of two, the median of each round's ratio
// to its one thread.
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

const [roundsGiven = '5', folder = '.'] = process.argv.slice(2);
const rounds = Number(roundsGiven);
if (!Number.isInteger(rounds) || rounds < 1) {
  console.error('usage: node bench/threads.js [rounds] [folder of a built checkout]');
  process.exit(2);
}

const rows = [
  { name: 'product of 512³, GFLOP/s', args: ['gemm'], speed: ({ gflops }) => gflops.median },
  {
    name: 'step of dim 512, tokens/s',
    args: ['train', '--dim', '512', '--batch', '8', '--steps', '1', '--repeats', '3'],
    speed: ({ tokensPerSecond }) => tokensPerSecond.median,
  },
];

async function run({ args, speed }, engine, threads) {
  const command = [join(folder, 'bin/xlstm.js'), 'bench', ...args, '--engine', engine, '--json', '--threads'];
  const { stdout } = await promisify(execFile)(process.execPath, [...command, `${threads}`]);
  return speed(JSON.parse(stdout));
}

/** Both work for the whole time that either is measured only if they take equally long, as equal work does. */
async function twoProcesses(row, engine) {
  const [a, b] = await Promise.all([run(row, engine, 1), run(row, engine, 1)]);
  return a + b;
}

const median = (values) => {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
};

const cases = rows.flatMap((row) =>
  ['wasm', 'native'].map((engine) => ({ row, engine, one: [], threads: [], processes: [] })),
);
for (let round = 0; round < rounds; round++) {
  for (const { row, engine, one, threads, processes } of cases) {
    one.push(await run(row, engine, 1));
    threads.push(await run(row, engine, 2));
    processes.push(await twoProcesses(row, engine));
  }
  console.error(`round ${round + 1} of ${rounds}`);
}

const gain = (values, one) => median(values.map((speed, round) => speed / one[round]));
console.log(
  `${''.padEnd(34)}${'1 thread'.padStart(10)}${'2 threads'.padStart(18)}${'2 processes'.padStart(18)}`,
);
for (const { row, engine, one, threads, processes } of cases) {
  const digits = median(one) < 100 ? 1 : 0;
  const two = (values) =>
    `${median(values).toFixed(digits)} (${gain(values, one).toFixed(2)} x)`.padStart(18);
  console.log(
    `${`${engine.padEnd(8)}${row.name}`.padEnd(34)}${median(one).toFixed(digits).padStart(10)}${two(threads)}${two(processes)}`,
  );
}
