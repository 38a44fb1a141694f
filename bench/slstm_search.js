// What an sLSTM needs to learn a task of state tracking beyond the length of its training: one setting after the other is changed;
// then the change that helped most, and all that helped together, are trained four times as long with the seeds of the tests.
//
//     node bench/slstm_search.js cycle-navigation slstm.jsonl [--tokens 6000000]
//
// A line of JSON for each training, which is not run again when the command is; then a table in Markdown. Trials have seeds of
// their own, which no test has. One thread: run several tasks side by side.

import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { chooseEngine } from '../dist/index_node.js';
import { taskSettings } from '../dist/lab/arena/cell_settings.js';
import { runCell } from '../dist/lab/arena/run_cell.js';
import { codeVersion } from '../dist/lab/cells/code_version.js';
import { taskByName } from '../dist/lab/tasks/registry.js';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { tokens: { type: 'string', default: '6000000' } },
});
const [task, path] = positionals;
if (!task || !path) {
  console.error('node bench/slstm_search.js TASK OUT.jsonl [--tokens 6000000]');
  process.exit(2);
}
const { trainLengths } = taskByName(task);
const MODEL = 'xlstm[0:1]';
const TRIAL_SEEDS = [1000, 1001];
const TEST_SEEDS = [1, 2, 3];
/** A change that raises the mean score of the trials by so much helps. */
const HELPS = 0.05;

const base = { learningRate: 0.00775, curriculum: 0.4, weightDecay: 0.3, slstm: {} };
const changes = {
  'recurrent matrices begin at 0': { slstm: { recurrentWeightInit: 'zeros' } },
  '2 heads': { slstm: { numHeads: 2 } },
  '4 heads': { slstm: { numHeads: 4 } },
  'exponential forget gate': { slstm: { forgetGate: 'exponential' } },
  'forget bias 3 to 6': { slstm: { biasInit: 'small_init' } },
  'biases U(±1/√D)': { slstm: { biasInit: 'standard' } },
  'biases 0': { slstm: { biasInit: 'zeros' } },
  'no normaliser, no exponential gate (LSTM cell)': { slstm: { function: 'lstm' } },
  'convolution of 4': { slstm: { conv1dKernelSize: 4 } },
  'recurrent gradient within ±1': { slstm: { gradientRecurrentClipval: 1 } },
  'rate 0.02': { learningRate: 0.02 },
  'rate 0.004': { learningRate: 0.004 },
  'rate 0.002': { learningRate: 0.002 },
  'all lengths from the beginning': { curriculum: 0 },
  'lengths grow for 0.8 of the steps': { curriculum: 0.8 },
  'weight decay 0.1': { weightDecay: 0.1 },
  'weight decay 0.6': { weightDecay: 0.6 },
};
const changed = (setting, change) => ({
  ...setting,
  ...change,
  slstm: { ...setting.slstm, ...change.slstm },
});

const { engine } = await chooseEngine('native', { threads: 1 });
const code = await codeVersion();
const lines = existsSync(path) ? readFileSync(path, 'utf8').trim().split('\n').filter(Boolean) : [];
const records = new Map(lines.map((line) => JSON.parse(line)).map((record) => [keyOf(record), record]));

function keyOf({ task, setting, tokens, seed }) {
  return [task, setting, tokens, seed].join('; ');
}

/** The score of a training, of all test lengths: 0 is chance, 1 is perfect. */
async function train(setting, options, seed, tokens) {
  const head = { task, setting, tokens, seed };
  const known = records.get(keyOf(head));
  if (known) return known;
  const { batchSize } = taskSettings(taskByName(task), { model: MODEL, seed, quick: false }).training;
  const steps = Math.round(tokens / (batchSize * trainLengths[1]));
  const spec = { task, model: MODEL, seed, budget: 50_000, quick: true, seconds: 1e9, steps, ...options };
  const { status, scaledAccuracy: score, steps: taken, trainSeconds, curve } = await runCell(spec, engine);
  const record = {
    ...head,
    options,
    status,
    score,
    steps: taken,
    trainSeconds,
    loss: curve.at(-1)?.loss,
    code,
  };
  appendFileSync(path, `${JSON.stringify(record)}\n`);
  console.error(`${keyOf(head)}: ${score?.toFixed(3) ?? status} (${trainSeconds.toFixed(0)} s)`);
  records.set(keyOf(head), record);
  return record;
}

async function scores(setting, options, seeds, tokens) {
  const found = [];
  for (const seed of seeds) found.push((await train(setting, options, seed, tokens)).score ?? 0);
  return found;
}

const mean = (numbers) => numbers.reduce((sum, x) => sum + x, 0) / numbers.length;
const tokens = Number(values.tokens);
const rows = [];
const before = await scores('usual', base, TRIAL_SEEDS, tokens);
rows.push(['usual', tokens, before]);
let best = base;
const helped = [];
for (const [name, change] of Object.entries(changes)) {
  const found = await scores(name, changed(base, change), TRIAL_SEEDS, tokens);
  rows.push([name, tokens, found]);
  if (mean(found) < mean(before) + HELPS) continue;
  helped.push({ name, change, score: mean(found) });
}
// Of changes of the same setting the one that helps most is made last, and stays.
for (const { change } of helped.sort((a, b) => a.score - b.score)) best = changed(best, change);
rows.push(['usual', 4 * tokens, await scores('usual', base, TEST_SEEDS, 4 * tokens)]);
const most = helped.at(-1);
if (most) {
  const setting = changed(base, most.change);
  rows.push([most.name, 4 * tokens, await scores(most.name, setting, TEST_SEEDS, 4 * tokens)]);
}
if (helped.length > 1) {
  const together = helped.map(({ name }) => name).join(' + ');
  rows.push([together, 4 * tokens, await scores(together, best, TEST_SEEDS, 4 * tokens)]);
}
await engine.close();

console.log('| setting | tokens | mean score | each seed |\n|---|---:|---:|---|');
for (const [name, read, found] of rows) {
  console.log(
    `| ${name} | ${(read / 1e6).toFixed(0)}M | ${mean(found).toFixed(2)} | ${found.map((x) => x.toFixed(2)).join(', ')} |`,
  );
}
