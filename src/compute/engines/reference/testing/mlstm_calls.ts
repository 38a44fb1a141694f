import { mlstmBackward, mlstmForward } from '../mlstm.ts';
import { randomValues } from './values.ts';

/** Of a call of the mLSTM's kernels. */
export interface Sizes {
  batch: number;
  length: number;
  heads: number;
  keyDim: number;
  valueDim: number;
  eps: number;
}

/** What it reads. */
export interface Inputs {
  q: Float64Array;
  k: Float64Array;
  v: Float64Array;
  i: Float64Array;
  f: Float64Array;
  reset?: Float64Array;
  c?: Float64Array;
  n?: Float64Array;
  m?: Float64Array;
}

/** Tokens of a chunk of these calls. */
export const CHUNK = 4;

export function randomInputs(
  { batch, length, heads, keyDim, valueDim }: Sizes,
  seed: number,
  gateScale = 2,
): Inputs {
  const rows = batch * length;
  return {
    q: randomValues(rows * heads * keyDim, seed, 2),
    k: randomValues(rows * heads * keyDim, seed + 1, 2),
    v: randomValues(rows * heads * valueDim, seed + 2),
    i: randomValues(rows * heads, seed + 3, gateScale),
    f: randomValues(rows * heads, seed + 4, gateScale),
  };
}

export function randomState({ batch, heads, keyDim, valueDim }: Sizes, seed: number) {
  return {
    c: randomValues(batch * heads * keyDim * valueDim, seed),
    n: randomValues(batch * heads * keyDim, seed + 1),
    m: randomValues(batch * heads, seed + 2),
  };
}

export const scalesOf = (sizes: Sizes) => ({ keyScale: 1 / Math.sqrt(sizes.keyDim), queryScale: 0.7 });

export const stridesOf = ({ heads, keyDim, valueDim }: Sizes) => ({
  ldq: heads * keyDim,
  ldk: heads * keyDim,
  ldv: heads * valueDim,
  ldi: heads,
  ldf: heads,
  ldh: heads * valueDim,
});

/** The outputs of a forward pass, by the recurrence or by another kernel of its operands. */
export function forward(sizes: Sizes, inputs: Inputs, scales = scalesOf(sizes), kernel = mlstmForward) {
  const { batch, length, heads, keyDim, valueDim } = sizes;
  const members = batch * heads;
  const chunks = Math.ceil(length / CHUNK);
  const outputs = {
    h: new Float64Array(batch * length * heads * valueDim),
    lastC: new Float64Array(members * keyDim * valueDim),
    lastN: new Float64Array(members * keyDim),
    lastM: new Float64Array(members),
    chunkStates: new Float64Array(members * chunks * keyDim * (valueDim + 1)),
    chunkMaxima: new Float64Array(members * chunks),
    tokenStats: new Float64Array(members * length * 2),
  };
  kernel({
    scratch: undefined,
    reset: undefined,
    c: undefined,
    n: undefined,
    m: undefined,
    ...sizes,
    chunk: CHUNK,
    ...scales,
    ...stridesOf(sizes),
    ...inputs,
    ...outputs,
  });
  return outputs;
}

/** The gradients of what it read. */
export function backward(
  sizes: Sizes,
  inputs: Inputs,
  saved: ReturnType<typeof forward>,
  upstream: { dh: Float64Array; dlastC?: Float64Array; dlastN?: Float64Array },
  scales = scalesOf(sizes),
  kernel = mlstmBackward,
) {
  const strides = stridesOf(sizes);
  const gradients = {
    dq: new Float64Array(inputs.q.length),
    dk: new Float64Array(inputs.k.length),
    dv: new Float64Array(inputs.v.length),
    di: new Float64Array(inputs.i.length),
    df: new Float64Array(inputs.f.length),
    dc: new Float64Array(saved.lastC.length),
    dn: new Float64Array(saved.lastN.length),
  };
  kernel({
    reset: undefined,
    dlastC: undefined,
    dlastN: undefined,
    ...sizes,
    chunk: CHUNK,
    ...scales,
    ...strides,
    lddh: strides.ldh,
    lddq: strides.ldq,
    lddk: strides.ldk,
    lddv: strides.ldv,
    lddi: strides.ldi,
    lddf: strides.ldf,
    ...inputs,
    ...saved,
    ...upstream,
    ...gradients,
    scratch: undefined,
  });
  return gradients;
}
