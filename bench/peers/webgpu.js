// Products and an LSTM layer on one WebGPU adapter in Node: this project, @jax-js/jax and @tensorflow/tfjs by turns. One
// JSON line on standard output. A GPU in software needs VK_DRIVER_FILES and LD_LIBRARY_PATH (docs/gpu.md).
import { parseArgs } from 'node:util';
import { chooseEngine } from 'xlstm';
import { evaluation, linear, recurrent } from 'xlstm/graph';

const { values } = parseArgs({
  options: {
    size: { type: 'string', default: '256' },
    dim: { type: 'string', default: '64' },
    batch: { type: 'string', default: '8' },
    length: { type: 'string', default: '16' },
    repeats: { type: 'string', default: '5' },
  },
});
const { size, dim, batch, length, repeats } = Object.fromEntries(
  Object.entries(values).map(([name, value]) => [name, Number(value)]),
);
const numbers = (shape) =>
  Float32Array.from({ length: shape.reduce((a, b) => a * b) }, (_, i) => Math.sin(i));
const array = (shape) => ({ shape, values: numbers(shape) });

const { create, globals } = await import('webgpu');
Object.assign(globalThis, globals);
const gpu = create([]);
Object.defineProperty(globalThis, 'navigator', { value: { gpu, userAgent: 'node' }, configurable: true });

async function ours() {
  const { engine } = await chooseEngine('webgpu');
  const product = evaluation(engine, { a: array([size, size]), b: array([size, size]) }, ({ a, b }) => ({
    outputs: { y: linear(a, b) },
  })).executable;
  const options = { cell: 'lstm', heads: 1, exponentialForget: false, recurrentClip: 0, cutRecurrent: false };
  const inputs = { x: array([batch, length, dim]), w: array([4 * dim, dim]), r: array([1, 4 * dim, dim]) };
  const layer = evaluation(engine, inputs, ({ x, w, r }) => ({
    outputs: { y: recurrent(linear(x, w), r, undefined, undefined, {}, options).y },
  })).executable;
  const read = (executable) => async () => {
    await executable.run();
    await executable.io.read('output:y');
  };
  return { name: 'xlstm', product: read(product), layer: read(layer) };
}

async function jax() {
  const { defaultDevice, init, jit, nn, numpy: np } = await import('@jax-js/jax');
  await init('webgpu');
  defaultDevice('webgpu');
  const array = (shape) => np.array(numbers(shape)).reshape(shape);
  const [a, b] = [array([size, size]), array([size, size])];
  const inputs = [array([batch, length, dim]), array([4 * dim, dim]), array([4 * dim, dim])];
  // It has no scan: the steps are unrolled, and compiled as one function. What is read again is named with ref.
  const lstm = jit((x, w, r) => {
    const read = np.matmul(x, w.transpose());
    const transposed = r.transpose();
    let [h, c] = [np.zeros([batch, dim]), np.zeros([batch, dim])];
    const ys = [];
    for (let t = 0; t < length; t++) {
      const gates = read.ref.slice([], t).add(np.matmul(h, transposed.ref));
      const part = (k) => gates.ref.slice([], [k * dim, (k + 1) * dim]);
      const [i, f, g, o] = [nn.sigmoid(part(0)), nn.sigmoid(part(1)), np.tanh(part(2)), nn.sigmoid(part(3))];
      gates.dispose();
      c = f.mul(c).add(i.mul(g));
      h = o.mul(np.tanh(c.ref));
      ys.push(h.ref);
    }
    for (const rest of [h, c, read, transposed]) rest.dispose();
    return np.stack(ys, 1);
  });
  return {
    name: '@jax-js/jax',
    product: async () => {
      await np.matmul(a.ref, b.ref).data();
    },
    layer: async () => {
      await lstm(...inputs.map((input) => input.ref)).data();
    },
  };
}

async function tfjs() {
  const tf = await import('@tensorflow/tfjs');
  await import('@tensorflow/tfjs-backend-webgpu');
  await tf.setBackend('webgpu');
  await tf.ready();
  const a = tf.tensor(numbers([size, size]), [size, size]);
  const b = tf.tensor(numbers([size, size]), [size, size]);
  const lstm = tf.layers.lstm({ units: dim, returnSequences: true, recurrentInitializer: 'glorotUniform' });
  const x = tf.tensor(numbers([batch, length, dim]), [batch, length, dim]);
  const timed = (compute) => async () => {
    const y = compute();
    await y.data();
    y.dispose();
  };
  return {
    name: '@tensorflow/tfjs',
    product: timed(() => tf.matMul(a, b, false, true)),
    layer: timed(() => tf.tidy(() => lstm.apply(x))),
  };
}

const median = (times) => times.sort((p, q) => p - q)[times.length >> 1];
async function milliseconds(work) {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

const those = [];
for (const open of [ours, jax, tfjs]) {
  try {
    those.push(await open());
  } catch (error) {
    console.error(`${open.name}: ${error.message.split('\n')[0]}`);
  }
}
const found = {};
for (const what of ['product', 'layer']) {
  const able = those.filter((each) => each[what]);
  const times = new Map(able.map(({ name }) => [name, []]));
  for (let i = 0; i < 2; i++) for (const each of able) await each[what](); // compiles
  for (let i = 0; i < repeats; i++)
    for (const each of able) times.get(each.name).push(await milliseconds(each[what]));
  found[what] = Object.fromEntries([...times].map(([name, all]) => [name, Number(median(all).toFixed(2))]));
}
console.log(JSON.stringify({ size, dim, batch, length, repeats, ms: found }));
process.exit(0);
