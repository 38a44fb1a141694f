import { PANEL_ROWS } from '../../../program/constants.ts';
import { type Dispatch, type Lowering, ofAnySize } from '../shader.ts';
import { FEW_ROWS, productOf } from './gemm.ts';
import { type Product, panelProduct } from './products.ts';

/** Invocations that share the columns of a row. */
const PARTS = 16;
const LANES = PANEL_ROWS * PARTS;

/** A workgroup multiplies few rows of x with a strip of the matrix, which it reads once, neighbours reading neighbours. */
function strips({ m, n, module }: Product): Dispatch {
  const each = (line: (i: number) => string): string =>
    Array.from({ length: m }, (_, i) => line(i)).join('\n');
  return {
    groups: n / PANEL_ROWS,
    size: LANES,
    module: `${module}
var<workgroup> parts: array<f32, ${m * LANES}>;
`,
    body: `
let row = block * ${PANEL_ROWS}u + lane % ${PANEL_ROWS}u;
${each((i) => `var sum${i} = 0.0;`)}
for (var at = 2u * (lane / ${PANEL_ROWS}u); at < columns; at += ${2 * PARTS}u) {
  let word = w_word(panel_place(at, row));
  let even = bitcast<f32>(word << 16u);
  let odd = bitcast<f32>(word & 0xffff0000u);
  ${each((i) => `sum${i} += a_of(0u, ${i}u, at) * even;`)}
  if (at + 1u < columns) {
    ${each((i) => `sum${i} += a_of(0u, ${i}u, at + 1u) * odd;`)}
  }
}
${each((i) => `parts[${i * LANES}u + lane] = sum${i};`)}
workgroupBarrier();
if (lane < ${m * PANEL_ROWS}u) {
  let i = lane / ${PANEL_ROWS}u;
  var sum = 0.0;
  for (var part = 0u; part < ${PARTS}u; part++) { sum += parts[i * ${LANES}u + part * ${PANEL_ROWS}u + lane % ${PANEL_ROWS}u]; }
  finish(0u, i, row, sum);
}`,
  };
}

export const panelLinear: Lowering = (call, matrices) => {
  const product = panelProduct(call);
  return product.m <= FEW_ROWS ? ofAnySize([strips(product)]) : productOf(product, matrices);
};
