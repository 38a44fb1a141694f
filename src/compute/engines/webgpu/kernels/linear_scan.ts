import { each, type Lowering } from '../shader.ts';

export const linearScanForward: Lowering = ({ sizes: { batch, dim } }) => [
  each(
    batch * dim,
    `let b = index / dim;
let d = index % dim;
var y = state_at(index);
for (var t = 0u; t < length; t++) {
  let row = b * length + t;
  if (reset_at(row) == 1.0) { y = 0.0; }
  y = a_at(row * lda + d) * y + b_at(row * ldb + d);
  set_y(row * ldy + d, y);
}
set_lastState(index, y);`,
  ),
];

export const linearScanBackward: Lowering = ({ sizes: { batch, dim } }) => [
  each(
    batch * dim,
    `let member = index / dim;
let d = index % dim;
var gradient = dlastState_at(index);
for (var t = length; t > 0u;) {
  t--;
  let row = member * length + t;
  var before = state_at(index);
  if (t > 0u) { before = y_at((row - 1u) * ldy + d); }
  let starts = reset_at(row) == 1.0;
  gradient += dy_at(row * lddy + d);
  set_db(row * lddb + d, gradient);
  set_da(row * ldda + d, select(gradient * before, 0.0, starts));
  gradient *= select(a_at(row * lda + d), 0.0, starts);
}
set_dstate(index, gradient);`,
  ),
];
