/**
 * The source of a worker that lends its thread to the kernels: it sets up its own instance over the shared memory
 * and then stays inside `serve` until the engine closes. A string, so that it needs no file of its own: Node runs it
 * as it is, browsers from a Blob.
 *
 * In: { module, memory, thread, stackTop }. Out: 'ready', once, just before it serves.
 */
export const workerSource = `
const start = async ({ module, memory, thread, stackTop }, ready) => {
  const { exports } = await WebAssembly.instantiate(module, { env: { memory } });
  exports.__stack_pointer.value = stackTop;
  ready();
  exports.serve(thread);
};
if (typeof process !== 'undefined' && process.versions && process.versions.node) {
  const { parentPort, workerData } = require('node:worker_threads');
  start(workerData, () => parentPort.postMessage('ready'));
} else {
  self.onmessage = ({ data }) => start(data, () => self.postMessage('ready')).then(() => self.close());
}
`;
