// Training in float32 and in bf16 in turns, at dim 128 and 512: what else the machine does meets both.
//   node bench/precision.js [rounds=5] [folder of a built checkout=.]
// Printed are medians over the rounds in tokens per second, and the median of each round's ratio with the least and the
// greatest.
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

const [roundsGiven = '5', folder = '.'] = process.argv.slice(2);
const rounds = Number(roundsGiven);
if (!Number.isInteger(rounds) || rounds < 1) {
  console.error('usage: node bench/precision.js [rounds] [folder of a built checkout]');
  process.exit(2);
}

const rows = [
  ['--dim', '128'],
  ['--dim', '512', '--batch', '8', '--steps', '2'],
  ['--architecture', 'xlstm-large', '--dim', '512', '--blocks', '6', '--batch', '4', '--steps', '2'],
].map((row) => ({ row, f32: [], bf16: [] }));

async function tokensPerSecond(row, precision) {
  const command = [join(folder, 'bin/xlstm.js'), 'bench', 'train', ...row, '--precision', precision];
  const { stdout } = await promisify(execFile)(process.execPath, [...command, '--repeats', '3', '--json']);
  return JSON.parse(stdout).tokensPerSecond.median;
}

const sorted = (values) => [...values].sort((a, b) => a - b);
const median = (values) => {
  const [low, high] = [(values.length - 1) >> 1, values.length >> 1];
  return (sorted(values)[low] + sorted(values)[high]) / 2;
};

for (let round = 0; round < rounds; round++)
  for (const { row, f32, bf16 } of rows) {
    f32.push(await tokensPerSecond(row, 'f32'));
    bf16.push(await tokensPerSecond(row, 'bf16'));
  }

for (const { row, f32, bf16 } of rows) {
  const ratios = bf16.map((speed, i) => speed / f32[i]);
  const [least, greatest] = [sorted(ratios)[0], sorted(ratios).at(-1)].map((ratio) => ratio.toFixed(2));
  const speeds = [f32, bf16].map((values) => Math.round(median(values)).toLocaleString('en-US'));
  console.log(
    `${row.join(' ')}: f32 ${speeds[0]}, bf16 ${speeds[1]} tokens/s: ${median(ratios).toFixed(2)} x (${least} to ${greatest})`,
  );
}
