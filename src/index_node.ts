/** What `xlstm` is in Node: all of index.ts, of which loadModel and saveModel read and write folders too. */

export * from './index.ts';
export { loadModel, saveModel } from './saved/model_folders.ts';
