// Decoding and prefill of an xLSTM Large with random weights, for each format of its matrices, and what memory gives: bytes
// of parameters a second while decoding. Formats take turns, the best of the rounds counts.
//   node bench/small_weights.js [width] [blocks] [engine] [rounds]
import { chooseEngine, createModel, Session } from '../dist/index.js';

const [width = 2048, blocks = 12] = process.argv.slice(2, 4).map(Number);
const engineName = process.argv[4] ?? 'auto';
const rounds = Number(process.argv[5] ?? 3);
const TOKENS = 24;
const PROMPT = 512;
const { engine } = await chooseEngine(engineName);
console.log(engine.description);

const vocabSize = 16_384;
/** Nobody reads the text. */
const tokenizer = { vocabSize, specials: new Map(), decoder: () => ({ push: () => '.', flush: () => '' }) };
const config = {
  architecture: 'xlstm-large',
  vocabSize,
  embeddingDim: width,
  numBlocks: blocks,
  numHeads: Math.max(1, width / 512),
};
const formats = [undefined, 'bf16', 'q8', 'q4'];
const best = new Map();
for (let round = 0; round < rounds; round++) {
  for (const format of formats) {
    const packing = format && { quantization_config: { quant_method: 'xlstm', format } };
    const model = createModel(engine, { ...config, ...packing });
    const session = new Session(model, tokenizer);
    const ids = Array.from({ length: PROMPT }, (_, i) => 100 + ((i * 37) % 9000));
    await session.append(ids);
    let start = performance.now();
    await session.append(ids);
    const prefill = (PROMPT / (performance.now() - start)) * 1e3;
    let count = -1;
    for await (const _ of session.generate({ maxTokens: TOKENS + 1, temperature: 0, seed: 1 })) {
      if (count < 0) start = performance.now();
      count++;
    }
    const decode = (count / (performance.now() - start)) * 1e3;
    // Of the embedding one row is read.
    const bytes =
      model.parameters.regions.reduce((sum, region) => sum + region.bytes, 0) - 4 * vocabSize * width;
    const before = best.get(format) ?? { decode: 0, prefill: 0 };
    best.set(format, {
      bytes,
      decode: Math.max(decode, before.decode),
      prefill: Math.max(prefill, before.prefill),
      parameters: model.parameters.count,
    });
    session.free();
    model.free();
  }
}
const plain = best.get(undefined);
console.log(`${(plain.parameters / 1e6).toFixed(0)} M parameters, width ${width}, ${blocks} blocks`);
for (const [format = 'float32', { decode, prefill, bytes }] of best) {
  console.log(
    `${format.padEnd(8)} decoding ${decode.toFixed(2).padStart(8)} tokens/s ${(decode / plain.decode).toFixed(2)}x ` +
      `${((bytes * decode) / 1e9).toFixed(1).padStart(5)} GB/s   prefill ${prefill.toFixed(1).padStart(8)} tokens/s ${(prefill / plain.prefill).toFixed(2)}x`,
  );
}
await engine.close();
