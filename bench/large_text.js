/*
 * What the commands that read texts hold in memory for one file that is longer than a string of JavaScript may be, and train and
 * eval beside it for the token file of the same text: node bench/large_text.js [megabytes].
 */
import { spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { mobyDick } from '../dist/node.js';

const megabytes = Number(process.argv[2] ?? 650);
const folder = mkdtempSync(join(tmpdir(), 'xlstm-text-'));
const bin = fileURLToPath(new URL('../bin/xlstm.js', import.meta.url));
const MEASURE = `process.on('exit', () => console.error('rss ' + process.resourceUsage().maxRSS * 1024));`;

/** The chapters of a book again and again, each time behind a number, so that there are ever new words. */
async function writeText(path) {
  const { train } = await mobyDick();
  const file = openSync(path, 'w');
  for (let bytes = 0, i = 0; bytes < megabytes * 1e6; i++) {
    bytes += writeSync(file, `${i * 7919}\n${train[i % train.length].text}\n`);
  }
  closeSync(file);
}

function run(...args) {
  const preload = `data:text/javascript,${encodeURIComponent(MEASURE)}`;
  const ran = spawnSync(process.execPath, ['--import', preload, bin, ...args], {
    cwd: folder,
    encoding: 'utf8',
  });
  if (ran.status !== 0) throw new Error(ran.stderr);
  const bytes = Number(/rss (\d+)/.exec(ran.stderr)[1]);
  console.log(`${`${Math.round(bytes / 1e6)} MB`.padStart(8)}  xlstm ${args.join(' ')}`);
}

try {
  await writeText(join(folder, 'large.txt'));
  const small = '--dim 16 --heads 2 --blocks 2 --steps 3 --batch 4 --length 32 --sample 0'.split(' ');
  const capped = ['--evaluation-tokens', '20000'];
  run('tokenize', 'large.txt', '--documents', '--out', 'large.tokens');
  run('tokenizer', 'train', 'large.txt', '--vocabulary', '1000');
  for (const data of ['large.txt', 'large.tokens']) {
    const documents = data === 'large.txt' ? ['--documents'] : [];
    run('train', '--data', data, ...documents, ...small, ...capped, '--out', `${data}-run`);
    run('eval', `${data}-run`, data, ...capped);
  }
} finally {
  rmSync(folder, { recursive: true });
}
