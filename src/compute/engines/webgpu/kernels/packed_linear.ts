import { type PackedFormat, packedFormats } from '../../../program/constants.ts';
import { packedRowWords } from '../../../program/packing.ts';
import { each, type Lowering } from '../shader.ts';

const LANES = 64;
/** Rows of x for which a row of the matrix is read once. */
const ROWS = 8;

/** Words of the codes of a group of 128 columns, and the number of a column from its code. */
const formats: Readonly<Record<PackedFormat, { words: number; value: string }>> = {
  q8: {
    words: 32,
    value: `let word = w_word(at + column % 128u / 4u);
  return f32(extractBits(bitcast<i32>(word), 8u * (column % 4u), 8u)) * bitcast<f32>(block);`,
  },
  q4: {
    words: 16,
    value: `let word = w_word(at + column % 16u);
  return f32(extractBits(word, column % 128u / 16u * 4u, 4u)) * bitcast<f32>(block) + bitcast<f32>(block << 16u);`,
  },
  bf16: {
    words: 64,
    value: `let s = column % 128u / 16u;
  let word = w_word(at + 16u * (s / 2u) + column % 16u);
  return bitcast<f32>(select(word << 16u, word & 0xffff0000u, s % 2u == 1u));`,
  },
};

function weightModule(format: PackedFormat, columns: number): string {
  const { words, value } = formats[format];
  const stride = packedRowWords(format, columns);
  const blocks = Math.ceil(columns / 128) * words;
  return `
fn weight_at(row: u32, column: u32) -> f32 {
  let at = row * ${stride}u + column / 128u * ${words}u;
  ${format === 'bf16' ? '' : `let block = w_word(row * ${stride}u + ${blocks}u + column / 32u);`}
  ${value}
}
`;
}

export const packedLinear: Lowering = ({ sizes: { m, rows, columns, format, transposed } }) => {
  const module = weightModule(packedFormats[format], columns);
  if (transposed) {
    return [
      each(
        m * columns,
        `let i = index / columns;
let column = index % columns;
var sum = residual_at(i * ldResidual + column);
for (var row = 0u; row < rows; row++) { sum += x_at(i * ldx + row) * weight_at(row, column); }
set_y(i * ldy + column, sum);`,
        module,
      ),
    ];
  }
  const few = Math.min(m, ROWS);
  const pieces = Math.ceil(m / few);
  return [
    {
      groups: rows * pieces,
      size: LANES,
      module,
      sums: few,
      body: `
let row = block / ${pieces}u;
let first = block % ${pieces}u * ${few}u;
var sum = array<f32, ${few}>();
for (var column = lane; column < columns; column += ${LANES}u) {
  let weight = weight_at(row, column);
  for (var i = 0u; i < ${few}u; i++) { sum[i] += x_at(min(first + i, m - 1u) * ldx + column) * weight; }
}
let whole = row_total(lane, sum);
if (lane < ${few}u && first + lane < m) {
  let i = first + lane;
  set_y(i * ldy + row, whole + bias_at(row) + residual_at(i * ldResidual + row));
}`,
    },
  ];
};
