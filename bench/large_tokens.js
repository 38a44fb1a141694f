/*
 * Trains on a token file larger than memory beside one of a few megabytes, in processes of their own, in turns, and prints the
 * most memory that each held and their tokens/s: node bench/large_tokens.js [gigabytes]. The large file is sparse (its
 * tokens are zeros, and take no disk); reading it goes through the same calls.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { closeSync, ftruncateSync, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ByteTokenizer } from '../dist/index.js';
import { TokenFile, writeTokenFile } from '../dist/node.js';

const gigabytes = Number(process.argv[2] ?? 20);
const folder = mkdtempSync(join(tmpdir(), 'xlstm-tokens-'));
const [small, large] = ['small.tokens', 'large.tokens'].map((name) => join(folder, name));

async function* zeros() {
  yield { name: 'zeros', text: '\0'.repeat(2e6) };
}

/** The small file with as many tokens more as make it so large, all zero: what lies behind them moves on. */
function writeLarge() {
  const facts = new TokenFile(small).facts;
  const bytes = readFileSync(small);
  const head = bytes.subarray(0, 16);
  const tokens = Math.round((gigabytes * 1e9) / 8) * 4;
  const json = Buffer.from(JSON.stringify({ ...facts, tokens }));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  const digest = createHash('sha256').update(json).digest();
  const end = Buffer.concat([Buffer.alloc(8), json, digest, length, Buffer.from('xlstmend')]);
  const file = openSync(large, 'w');
  writeSync(file, head, 0, head.length, 0);
  writeSync(file, end, 0, end.length, head.length + 2 * tokens);
  ftruncateSync(file, head.length + 2 * tokens + end.length);
  closeSync(file);
}

const MEASURE = `process.on('exit', () => console.error('rss ' + process.resourceUsage().maxRSS * 1024));`;

function train(data, name) {
  const bin = fileURLToPath(new URL('../bin/xlstm.js', import.meta.url));
  const steps = [
    '--steps',
    '150',
    '--dim',
    '64',
    '--blocks',
    '2',
    '--order',
    'shuffled',
    '--evaluation-tokens',
    '10000',
    '--sample',
    '0',
  ];
  const args = [
    '--import',
    `data:text/javascript,${encodeURIComponent(MEASURE)}`,
    bin,
    'train',
    '--data',
    data,
  ];
  const ran = spawnSync(process.execPath, [...args, ...steps, '--out', join(folder, name)], {
    encoding: 'utf8',
  });
  if (ran.status !== 0) throw new Error(ran.stderr);
  const lines = readFileSync(join(folder, name, 'metrics.jsonl'), 'utf8')
    .trimEnd()
    .split('\n');
  const rates = lines.map((line) => JSON.parse(line).tokensPerSecond).sort((a, b) => a - b);
  return { bytes: Number(/rss (\d+)/.exec(ran.stderr)[1]), tokensPerSecond: rates[rates.length >> 1] };
}

try {
  await writeTokenFile(small, new ByteTokenizer(), zeros());
  writeLarge();
  const found = { small: [], large: [] };
  for (let turn = 0; turn < 3; turn++) {
    found.small.push(train(small, `small-${turn}`));
    found.large.push(train(large, `large-${turn}`));
  }
  const middle = (all, of) => all.map(of).sort((a, b) => a - b)[1];
  for (const [name, runs] of Object.entries(found)) {
    const memory = Math.max(...runs.map(({ bytes }) => bytes)) / 1e6;
    const rate = middle(runs, ({ tokensPerSecond }) => tokensPerSecond);
    console.log(`${name}: at most ${memory.toFixed(0)} MB of memory, ${(rate / 1000).toFixed(1)}k tokens/s`);
  }
  const ratio =
    middle(found.large, (run) => run.tokensPerSecond) / middle(found.small, (run) => run.tokensPerSecond);
  console.log(`large / small: ${ratio.toFixed(3)}`);
} finally {
  rmSync(folder, { recursive: true });
}
