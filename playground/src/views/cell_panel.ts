import { HeatMap } from '../charts/heat_map.ts';
import { h } from '../dom.ts';
import { decimal } from '../format.ts';
import type {
  CellLook,
  MlstmCell,
  MlstmReading,
  SlstmCell,
  SlstmReading,
  TracedCell,
} from '../worker/look.ts';
import { MEANING } from './equations.ts';

/** A row of numbers, or a matrix, of one head. */
interface Part {
  readonly title: string;
  readonly meaning: string;
  readonly rows: number;
  readonly columns: number;
  readonly values: ArrayLike<number>;
}

/** Everything that one head of a cell did with a token. Each number tells its meaning. */
export function cellPanel(cell: TracedCell, { reading, before }: CellLook, head: number): HTMLElement {
  const told = h('p', { class: 'reading', 'aria-live': 'polite' }, 'Point at a number.');
  const [scalars, matrices, vectors] =
    cell.kind === 'mlstm'
      ? mlstmParts(cell, reading as MlstmReading, before, head)
      : slstmParts(cell, reading as SlstmReading, head);
  const drawn = (part: Part): HTMLElement => {
    const map = new HeatMap(part.title, (row, column) => {
      const place = part.rows > 1 ? `row ${row + 1}, column ${column + 1}` : `${column + 1}`;
      told.textContent = `${part.title} [${place}] = ${decimal(part.values[row * part.columns + column])} · ${part.meaning}`;
    });
    const most = largest(part.values);
    map.show({ rows: part.rows, columns: part.columns, values: part.values, most });
    return h(
      'figure',
      { class: part.rows > 1 ? 'matrix' : 'vector' },
      h('figcaption', {}, part.title, h('span', { class: 'hint' }, ` up to ${decimal(most)}`)),
      map.element,
    );
  };
  return h(
    'div',
    { class: 'cell' },
    h(
      'dl',
      { class: 'figures' },
      ...scalars.map(([name, value, meaning]) =>
        h('div', { title: meaning }, h('dt', {}, name), h('dd', {}, decimal(value))),
      ),
    ),
    h('div', { class: 'matrices' }, ...matrices.map(drawn)),
    h('div', { class: 'vectors' }, ...vectors.map(drawn)),
    told,
  );
}

type Scalar = readonly [name: string, value: number, meaning: string];
type Parts = readonly [readonly Scalar[], readonly Part[], readonly Part[]];

function mlstmParts(
  { keyDim, valueDim, keyScale, queryScale }: MlstmCell,
  reading: MlstmReading,
  before: Float64Array,
  head: number,
): Parts {
  const keys = (row: ArrayLike<number>): number[] => partOf(row, head, keyDim);
  const values = (row: ArrayLike<number>): number[] => partOf(row, head, valueDim);
  const matrix = (whole: ArrayLike<number>): number[] => partOf(whole, head, keyDim * valueDim);
  const [input, forget] = [reading.input[head], reading.forget[head]];
  const k = keys(reading.k).map((value) => value * keyScale);
  const v = values(reading.v);
  const write = k.flatMap((key) => v.map((value) => input * key * value));
  const square = { rows: keyDim, columns: valueDim };
  const row = (title: string, meaning: string, numbers: readonly number[]): Part => ({
    ...{ title, meaning, rows: 1, columns: numbers.length, values: numbers },
  });
  return [
    [
      ['I', input, MEANING.input],
      ['F', forget, MEANING.forget],
      ['m', reading.m[head], MEANING.m],
      ['i', reading.inputPreactivation[head], 'i, before its exponential'],
      ['f', reading.forgetPreactivation[head], 'f, before its sigmoid'],
    ],
    [
      {
        title: 'stays',
        meaning: MEANING.decay,
        ...square,
        values: matrix(before).map((value) => forget * value),
      },
      { title: 'is written', meaning: MEANING.write, ...square, values: write },
      { title: 'memory C', meaning: MEANING.c, ...square, values: matrix(reading.c) },
    ],
    [
      row('key k̂', MEANING.k, k),
      row('value v', MEANING.v, v),
      row(
        'query q̂',
        MEANING.q,
        keys(reading.q).map((value) => value * queryScale),
      ),
      row('normaliser n', MEANING.n, keys(reading.n)),
      row('read h', MEANING.h, values(reading.h)),
    ],
  ];
}

function slstmParts({ headDim }: SlstmCell, reading: SlstmReading, head: number): Parts {
  const row = (title: string, meaning: string, whole: ArrayLike<number>): Part => ({
    ...{ title, meaning, rows: 1, columns: headDim, values: partOf(whole, head, headDim) },
  });
  return [
    [],
    [],
    [
      row('input gate I', MEANING.input, reading.input),
      row('forget gate F', MEANING.forgetScalar, reading.forget),
      row('candidate tanh(z)', MEANING.candidate, reading.candidate),
      row('output gate σ(o)', MEANING.output, reading.output),
      row('memory c', MEANING.cScalar, reading.c),
      row('normaliser n', MEANING.nScalar, reading.n),
      row('stabiliser m', MEANING.m, reading.m),
      row('y', MEANING.y, reading.y),
    ],
  ];
}

const partOf = (row: ArrayLike<number>, head: number, size: number): number[] =>
  Array.from({ length: size }, (_, i) => row[head * size + i]);

const largest = (values: ArrayLike<number>): number =>
  Array.from(values).reduce((most, value) => Math.max(most, Math.abs(value)), 0);
