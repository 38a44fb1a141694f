import { expect, it } from 'vitest';
import { linear } from '../../src/compute/graph/matmul.ts';
import { PackedMatrix } from '../../src/compute/graph/packed_linear.ts';
import { PanelMatrix } from '../../src/compute/graph/panel_linear.ts';
import { plan } from '../../src/compute/graph/plan.ts';
import { leaf } from '../../src/compute/graph/tensor.ts';
import { assign } from '../../src/compute/graph/views.ts';
import { type PackedFormat, packedFormats } from '../../src/compute/program/constants.ts';
import { kernelNames } from '../../src/compute/program/kernels.ts';
import { cpuLimits, type EngineLimits } from '../../src/compute/program/limits.ts';
import { type Instruction, instructionBytes, type Program } from '../../src/compute/program/program.ts';
import { Region } from '../../src/compute/program/region.ts';
import { type ContestantName, contestantNames, contestants } from '../../src/models/baselines/contestants.ts';
import { inferenceProgram, stateRegion } from '../../src/nn/inference_programs.ts';
import { Parameters, Scope } from '../../src/nn/parameters.ts';
import { languageModelObjective as objective } from '../../src/training/objective.ts';
import { gradientProgram, optimizerRegions } from '../../src/training/step_programs.ts';

const shape = { batchSize: 4, length: 160 };
const update = { optimizer: { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0.1 }, clipNorm: 1 };

function programs(
  name: ContestantName,
  numHeads: number,
  training: { limits?: EngineLimits; precision?: 'bf16' } = {},
): Program[] {
  const parameters = new Parameters();
  const config = { ...contestants[name], vocabSize: 90, embeddingDim: 64, numHeads, contextLength: 160 };
  const network = contestants[name].build(new Scope(parameters), { ...config, positions: 160, expansion: 1 });
  const state = stateRegion(network, 4);
  const computed = { network, objective, shape, state, limits: cpuLimits, ...training };
  return [
    gradientProgram(computed, optimizerRegions(parameters), 'set', update),
    inferenceProgram(network, stateRegion(network, 4), 4, 1, 'last', cpuLimits),
  ];
}

/** No model of the contestants has packed matrices. */
function packedProgram(format: PackedFormat): Program {
  const io = new Region('io');
  const weight = new PackedMatrix(new Region('matrix'), 'w', [96, 256], format);
  const y = linear(leaf(io, 'x', [20, 256]), weight);
  return plan('packed', { io, roots: [assign(leaf(io, 'y', [20, 96]), y)], limits: cpuLimits });
}

/** Nor products and mLSTM in bfloat16, which not all engines have. */
function halfPrograms(): Program[] {
  const limits = { ...cpuLimits, lacks: {} };
  const products = [
    (io: Region) => leaf(io, 'w', [96, 256]),
    () => new PanelMatrix(new Region('matrix'), 'w', [96, 256]),
  ].map((weight) => {
    const io = new Region('io');
    const y = linear(leaf(io, 'x', [20, 256]), weight(io));
    return plan('bf16', { io, roots: [assign(leaf(io, 'y', [20, 96]), y)], limits, precision: 'bf16' });
  });
  return [...products, ...programs('xlstm[1:0]', 2, { limits, precision: 'bf16' })];
}

/** Bytes of the arrays that a call names, by the shapes that its addresses' labels end with; its workspace has none. */
function arrayBytes({ words }: Instruction): number {
  const shapes = words.flatMap((word) =>
    typeof word === 'number' ? [] : ((/\[([\d, ]+)\]/.exec(word.label) ?? [])[1] ?? []),
  );
  return shapes.reduce((sum, text) => sum + 4 * text.split(', ').reduce((n, size) => n * Number(size), 1), 0);
}

/** Bytes over those of the arrays, where a kernel does not move each of its arrays once. */
const others: Readonly<Record<string, readonly [least: number, most: number]>> = {
  // Of the table the rows of the tokens.
  embeddingForward: [0.02, 1],
  // Parameters and moments are read and written.
  adamw: [1.74, 1.75],
  // A state in its place, of which a token overwrites one row.
  attentionForward: [0.5, 1],
};

it('every row of the kernel table states the bytes of its arrays', () => {
  const called = new Set<string>();
  const all = [
    ...contestantNames.map((name) => [name, [2, 8].flatMap((heads) => programs(name, heads))] as const),
    ...packedFormats.map((format) => [format, [packedProgram(format)]] as const),
    ['bf16 products', halfPrograms()] as const,
  ];
  for (const [name, planned] of all) {
    for (const instruction of planned.flatMap((p) => p.instructions)) {
      const { kernel } = instruction;
      const ratio = instructionBytes(instruction) / arrayBytes(instruction);
      const [least, most] = others[kernel] ?? [0.75, 1];
      expect(ratio, `${kernel} of ${name}`).toBeGreaterThanOrEqual(least);
      expect(ratio, `${kernel} of ${name}`).toBeLessThanOrEqual(most);
      called.add(kernel);
    }
  }
  expect(kernelNames.filter((name) => !called.has(name))).toEqual([]);
});
