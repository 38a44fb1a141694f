// Speed of two checkouts in turns: what else the machine does meets both.
//   node bench/before_after.js <before> <after> [rounds=5] [engine=auto]
// Both folders are built checkouts (node scripts/build.js). A round runs every row of `rows` in both, the one that
// goes first alternating. Printed are, for each row, the medians over the rounds in tokens per second and the ratio
// after / before: the median of the ratios of the rounds, with the least and the greatest.
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';

/** Arguments of `xlstm bench`; each run takes at most a few seconds. */
const rows = [
  ['train', '--dim', '128'],
  ['train', '--dim', '512', '--batch', '8', '--steps', '2', '--repeats', '3'],
  ['decode', '--dim', '128', '--tokens', '2000'],
];

const [before, after, roundsGiven = '5', engine = 'auto'] = process.argv.slice(2);
const rounds = Number(roundsGiven);
if (!before || !after || !Number.isInteger(rounds) || rounds < 1) {
  console.error('usage: node bench/before_after.js <before> <after> [rounds] [engine]');
  process.exit(2);
}
const folders = [before, after].map((folder) => resolve(folder));
for (const folder of folders) {
  if (existsSync(join(folder, 'dist/cli/main.js'))) continue;
  console.error(
    `${folder}: expected a built checkout, found no dist/cli/main.js; node scripts/build.js makes it`,
  );
  process.exit(2);
}

const median = (values) => {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
};

async function tokensPerSecond(folder, row) {
  const args = [join(folder, 'bin/xlstm.js'), 'bench', ...row, '--engine', engine, '--json'];
  const { stdout } = await promisify(execFile)(process.execPath, args, { encoding: 'utf8' });
  const report = JSON.parse(stdout);
  computing.add(report.instructionSet);
  return report.tokensPerSecond.median;
}

const computing = new Set();
/** [row][before or after][round] */
const speeds = rows.map(() => [[], []]);
for (let round = 0; round < rounds; round++) {
  const order = round % 2 === 0 ? [0, 1] : [1, 0];
  for (const [i, row] of rows.entries()) {
    for (const which of order) speeds[i][which].push(await tokensPerSecond(folders[which], row));
  }
  console.error(`round ${round + 1} of ${rounds}`);
}

console.log(`before  ${folders[0]}\nafter   ${folders[1]}\nengine  ${[...computing].join(' and ')}`);
for (const [i, row] of rows.entries()) {
  const [old, now] = speeds[i];
  const ratios = now.map((speed, round) => speed / old[round]);
  const [middle, least, most] = [median(ratios), Math.min(...ratios), Math.max(...ratios)];
  console.log(
    `${row.join(' ').padEnd(52)}${median(old).toFixed(0).padStart(8)} →${median(now).toFixed(0).padStart(8)} tokens/s  ` +
      `ratio ${middle.toFixed(3)} (${least.toFixed(3)} to ${most.toFixed(3)})`,
  );
}
