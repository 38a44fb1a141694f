// A model's folder, as large as memory allows: time to load, resident bytes, decoding, and what memory gives in the same run:
// a float32 model of 1.3 GB, whose products are bound by nothing else, decodes in turns with it.
//   node bench/folder.js DIR [rounds]
import { resourceUsage } from 'node:process';
import { chooseEngine, createModel, loadModel, Session } from '../dist/index_node.js';

const [folder, rounds = '3'] = process.argv.slice(2);
const TOKENS = 32;
const { engine } = await chooseEngine('auto');
console.log(engine.description);

let start = performance.now();
const { model, tokenizer } = await loadModel(folder, { engine });
console.log(`loaded in ${((performance.now() - start) / 1e3).toFixed(1)} s`);

const vocabSize = 1024;

/** Nobody reads the text. */
const silent = { vocabSize, specials: new Map(), decoder: () => ({ push: () => '.', flush: () => '' }) };
/** Of the embedding one row is read for a token. */
const bytesPerToken = ({ parameters }) =>
  parameters.regions.reduce((sum, region) => sum + region.bytes, 0) -
  4 *
    parameters.list
      .find(({ name }) => name.includes('embed'))
      .shape.reduce((product, size) => product * size);

async function decode(measured, tokens) {
  const session = new Session(measured, tokens);
  await session.append([1, 2, 3]);
  let count = -1;
  for await (const _ of session.generate({ maxTokens: TOKENS + 1, temperature: 0, seed: 1 })) {
    if (count < 0) start = performance.now();
    count++;
  }
  session.free();
  return (count / (performance.now() - start)) * 1e3;
}

const best = [await decode(model, tokenizer), 0];
console.log(`${(resourceUsage().maxRSS / 1e6).toFixed(2)} GB resident at most, of a first text`);
const plain = createModel(engine, {
  architecture: 'xlstm-large',
  ...{ vocabSize, embeddingDim: 2048, numBlocks: 6, numHeads: 4 },
});
for (let round = 0; round < Number(rounds); round++) {
  best[0] = Math.max(best[0], await decode(model, tokenizer));
  best[1] = Math.max(best[1], await decode(plain, silent));
}
const [rate, memory] = [bytesPerToken(model) * best[0], bytesPerToken(plain) * best[1]].map((x) => x / 1e9);
console.log(
  `${best[0].toFixed(2)} tokens/s, ${rate.toFixed(1)} GB/s of parameters, ${((100 * rate) / memory).toFixed(0)} % of the ` +
    `${memory.toFixed(1)} GB/s of a float32 model (${(plain.parameters.count / 1e6).toFixed(0)} M parameters)`,
);
await engine.close();
