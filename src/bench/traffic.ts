import { type KernelName, kernels } from '../program/kernels.ts';
import { type Instruction, instructionOperands } from '../program/program.ts';

type Sizes = Readonly<Record<string, number>>;

/** A map's tail: inputs × [address, rowStride, columnStride]; a stride of 0 repeats one row or one element. */
function mapElements({ words }: Instruction, a: Sizes): number {
  const inputs = Array.from({ length: a.inputs }, (_, i) => {
    const [rowStride, columnStride] = words.slice(Object.keys(a).length + 3 * i + 1);
    return (rowStride === 0 ? 1 : a.rows) * (columnStride === 0 ? 1 : a.cols);
  });
  return inputs.reduce((sum, n) => sum + n, a.outputs * a.rows * a.cols);
}

const mlstmElements = (a: Sizes): number => a.batch * a.length * a.heads * (a.keyDim + a.valueDim);
const recurrentElements = (a: Sizes): number => a.batch * a.length * a.heads * a.headDim;

/** Elements that a call reads and writes at least: each operand once, what is small beside the others left out. */
const elements: { readonly [Name in KernelName]?: (a: Sizes, instruction: Instruction) => number } = {
  map: (a, instruction) => mapElements(instruction, a),
  gemm: (a) => a.batch * (a.m * a.k + a.k * a.n + a.m * a.n * (a.residual ? 2 : 1)),
  blockLinear: (a) => a.rows * a.groups * (a.inSize + a.outSize * (a.residual ? 2 : 1)),
  blockLinearGradient: (a) => a.rows * a.groups * (a.inSize + a.outSize),
  normForward: (a) => 2 * a.rows * a.groups * a.size,
  normBackward: (a) => (a.residual ? 4 : 3) * a.rows * a.groups * a.size,
  embeddingForward: (a) => 2 * a.rows * a.dim,
  embeddingBackward: (a) => (a.rows + a.vocab) * a.dim,
  convForward: (a) => 2 * a.batch * a.length * a.dim,
  convBackward: (a) => (a.residual ? 4 : 3) * a.batch * a.length * a.dim,
  gatedNormForward: (a) => (a.addend ? 4 : 3) * a.rows * a.groups * a.size,
  gatedNormBackward: (a) =>
    (5 + (a.addend ? 1 : 0) + (a.daddend ? 1 : 0) + (a.residual ? 1 : 0)) * a.rows * a.groups * a.size,
  crossEntropyForward: (a) => a.rows * a.vocab,
  crossEntropyBackward: (a) => 2 * a.rows * a.vocab,
  reduce: (a) => a.rows * a.cols * (a.factor ? 2 : 1),
  adamw: (a) => 7 * a.count,
  mlstmProjectionsForward: (a) => a.rows * (5 * a.groups * a.size + a.gates),
  mlstmProjectionsBackward: (a) => a.rows * ((a.residual ? 8 : 7) * a.groups * a.size + a.gates),
  mlstmForward: (a) => 2 * mlstmElements(a),
  mlstmBackward: (a) => 4 * mlstmElements(a),
  mlstmStep: (a) => 2 * a.batch * a.heads * a.keyDim * a.valueDim,
  // wx and y; with a backward pass the gates as the cell saves them (sLSTM one plane more than gates), c and n, y_{t−1}.
  recurrentForward: (a) => recurrentElements(a) * (a.gatesPerUnit + 1 + (a.gates ? a.gatesPerUnit + 4 : 0)),
  recurrentBackward: (a) => recurrentElements(a) * (2 * a.gatesPerUnit + 5),
};

/** Bytes that a call moves at least, in float32; undefined for kernels that are not counted. */
export function instructionBytes(instruction: Instruction): number | undefined {
  const count = elements[instruction.kernel]?.(instructionOperands(instruction), instruction);
  return count === undefined ? undefined : 4 * count;
}

/** The sizes of a call: the numbers that stand before its first address. */
export function instructionShape(instruction: Instruction): string {
  const a = instructionOperands(instruction);
  if (instruction.kernel === 'gemm') {
    const batch = a.batch > 1 ? `${a.batch} × ` : '';
    return `${batch}[${a.m}, ${a.k}]${a.transA ? 'ᵀ' : ''} · [${a.k}, ${a.n}]${a.transB ? 'ᵀ' : ''}`;
  }
  const operands = Object.entries(kernels[instruction.kernel].operands);
  const end = operands.findIndex(([, kind]) => kind !== 'int');
  return operands
    .slice(0, end < 0 ? undefined : end)
    .filter(([name]) => a[name] !== 0)
    .map(([name]) => `${name} ${a[name]}`)
    .join(', ');
}
