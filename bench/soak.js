// Whether memory stays where it is: training steps, models with a trainer and an evaluator, and sessions, made and
// given back. Prints resident memory and the size of the WebAssembly heap at ten points, each after a tenth of the
// work and a garbage collection; three further tenths run before the first, while code is still being compiled. Fails
// where they are not flat.
//   node bench/soak.js [--steps 20000] [--models 2000] [--sessions 5000] [--engine native|wasm]
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { ByteTokenizer, chooseEngine, createModel, Evaluator, Session, Trainer } from '../dist/index.js';

const POINTS = 10;
const WARM_UPS = 3;
const FLAT = 0.02;
const MIB = 2 ** 20;

const { values } = parseArgs({
  options: {
    steps: { type: 'string', default: '20000' },
    models: { type: 'string', default: '2000' },
    sessions: { type: 'string', default: '5000' },
    engine: { type: 'string' },
  },
});

if (!values.engine) {
  // A process for each: what one leaves behind is not the other's.
  const script = fileURLToPath(import.meta.url);
  const runs = ['native', 'wasm'].map((engine) =>
    spawnSync(process.execPath, [script, ...process.argv.slice(2), '--engine', engine], { stdio: 'inherit' }),
  );
  process.exit(runs.every(({ status }) => status === 0) ? 0 : 1);
}

const part = (name) => {
  const count = Number(values[name]);
  if (!(Number.isInteger(count) && count >= POINTS)) {
    throw new Error(`--${name}: expected a whole number of at least ${POINTS}, found "${values[name]}"`);
  }
  return Math.ceil(count / POINTS);
};
const [steps, models, sessions] = ['steps', 'models', 'sessions'].map(part);

const heaps = [];
WebAssembly.Memory = class extends WebAssembly.Memory {
  constructor(descriptor) {
    super(descriptor);
    heaps.push(this);
  }
};
setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc');

const { engine } = await chooseEngine(values.engine);
const tokenizer = new ByteTokenizer();
const config = {
  vocabSize: 256,
  embeddingDim: 32,
  numBlocks: 2,
  slstmAt: [1],
  contextLength: 16,
};
const shape = { batchSize: 2, length: 16 };
const tokens = Int32Array.from({ length: shape.batchSize * shape.length }, (_, i) => (i * 37) % 256);
const batch = { tokens, targets: tokens };
const create = () => createModel(engine, config);
const model = create();
const trainer = new Trainer(model, shape);

async function work() {
  for (let i = 0; i < steps; i++) await trainer.step(batch);
  for (let i = 0; i < models; i++) {
    const made = create();
    const itsTrainer = new Trainer(made, shape);
    const evaluator = new Evaluator(made, { lanes: shape.batchSize, length: shape.length });
    await itsTrainer.step(batch);
    await evaluator.run(tokens);
    for (const owner of [evaluator, itsTrainer, made]) owner.free();
  }
  for (let i = 0; i < sessions; i++) {
    const session = new Session(model, tokenizer);
    await session.append('It was');
    session.free();
  }
}

const settle = async () => {
  for (let i = 0; i < 3; i++) {
    collectGarbage();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
};

console.log(`${engine.description}: ${POINTS} times ${steps} steps, ${models} models, ${sessions} sessions`);
console.log('point  resident MiB  JavaScript MiB  WebAssembly MiB  seconds');
const points = [];
for (let point = 1 - WARM_UPS; point <= POINTS; point++) {
  const start = performance.now();
  await work();
  await settle();
  const { rss, heapUsed } = process.memoryUsage();
  const heap = heaps.reduce((sum, { buffer }) => sum + buffer.byteLength, 0);
  if (point > 0) points.push({ rss, heap });
  const cells = [rss / MIB, heapUsed / MIB, heap / MIB, (performance.now() - start) / 1000];
  const widths = [12, 14, 15, 7];
  const line = cells.map((value, i) => value.toFixed(i < 3 ? 2 : 1).padStart(widths[i])).join('  ');
  console.log(`${(point < 1 ? 'warm' : String(point)).padStart(5)}  ${line}`);
}
trainer.free();
model.free();
await engine.close();

const rise = (name) => Math.max(...points.map((point) => point[name])) / points[0][name] - 1;
const rises = {
  'resident memory': rise('rss'),
  ...(heaps.length > 0 && { 'WebAssembly heap': rise('heap') }),
};
for (const [name, value] of Object.entries(rises)) {
  const verdict = value <= FLAT ? 'flat' : 'NOT FLAT';
  console.log(`${name}: ${verdict}, at most ${(100 * value).toFixed(1)} % above the first point`);
  if (value > FLAT) process.exitCode = 1;
}
