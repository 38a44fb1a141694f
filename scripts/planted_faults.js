// A Program that is right, and Programs with a fault that a sanitized library has to report: what check_sanitized.js shows
// the sanitizers with, each time. The engine checks no operands, so a wrong size is as good as a wrong kernel.
//   node scripts/planted_faults.js none | end | between | race
import { root } from './files.js';

const load = (file) => import(new URL(`dist/compute/${file}.js`, root).href);
const { createNativeEngine } = await load('engines/native/engine');
const { Program } = await load('program/program');
const { Region } = await load('program/region');
const { bytesOf } = await load('program/dtypes');

const ROWS = 64;
const COLS = 33;
const io = new Region('io');
io.add('first', [ROWS, COLS]);
io.add('between', [1]);
io.add('last', [ROWS, COLS]);

/** `rows` rows of `cols` from one place of io to another. */
const copy = (rows, cols, from, to) => {
  const at = ([name, offset]) => ({
    region: io,
    offset: io.get(name).offset + bytesOf('f32', offset),
    label: name,
  });
  return { kernel: 'map', words: [rows, cols, 1, 1, 0, 1, at(from), cols, 1, at(to), cols, 0, 1, 0, 0, 0] };
};
const faults = {
  none: [copy(ROWS, COLS, ['first', 0], ['last', 0])],
  end: [copy(ROWS + 1, COLS, ['first', 0], ['last', 0])],
  between: [copy(1, 2, ['first', 0], ['between', 0])],
  // A thread's first row is what the thread before it writes.
  race: Array.from({ length: 50 }, () => copy(ROWS - 1, COLS, ['first', 0], ['first', COLS])),
};

const engine = await createNativeEngine({ threads: 3 });
await engine.bind(new Program('planted', faults[process.argv[2]], new Region('work'), io, []), []).run();
await engine.close();
