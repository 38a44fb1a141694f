import { each, type Lowering, widthFor } from '../shader.ts';

export const embeddingForward: Lowering = ({ sizes: { rows, dim } }) => [
  each(
    rows * dim,
    `let row = index / dim;
let d = index % dim;
let id = id_named(tokens_at(row), vocab);
if (id < 0) { set_y(row * ldy + d, not_a_number()); } else { set_y(row * ldy + d, table_at(u32(id) * dim + d)); }`,
  ),
];

/** A workgroup for each row of the table looks through the tokens: sums have the tokens' order. */
export const embeddingBackward: Lowering = ({ sizes: { vocab, dim } }) => {
  const width = widthFor(dim);
  const slices = Math.ceil(dim / width);
  return [
    {
      groups: vocab * slices,
      size: width,
      body: `
let id = f32(block / ${slices}u);
let d = block % ${slices}u * ${width}u + lane;
if (d >= dim) { return; }
var sum = 0.0;
for (var row = 0u; row < rows; row++) {
  if (tokens_at(row) == id) { sum += dy_at(row * lddy + d); }
}
set_dtable(block / ${slices}u * dim + d, sum);`,
    },
  ];
};
