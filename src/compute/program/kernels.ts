import { attentionKernels } from './kernels/attention.ts';
import { basicKernels } from './kernels/basic.ts';
import { gatedNormKernels } from './kernels/gated_norm.ts';
import type { Kernel, Sizes } from './kernels/kernel.ts';
import { layersKernels } from './kernels/layers.ts';
import { mlstmKernels } from './kernels/mlstm.ts';
import { recurrentKernels } from './kernels/recurrent.ts';
import { scansKernels } from './kernels/scans.ts';
import { trainingKernels } from './kernels/training.ts';
import type { EngineLimits } from './limits.ts';

/**
 * The kernel table: the single source for every kernel's opcode, operand layout, workspace and cost, a file a family.
 * Engines implement exactly these; kernels/generated/kernels.h is written from it by scripts/build.js. An opcode is a
 * row's place.
 */
const table = {
  ...basicKernels,
  ...layersKernels,
  ...gatedNormKernels,
  ...trainingKernels,
  ...mlstmKernels,
  ...recurrentKernels,
  ...attentionKernels,
  ...scansKernels,
} as const satisfies Record<string, Kernel>;

/** The rows with their operand names, for engines that derive argument types from them. */
export type KernelTable = typeof table;
export type KernelName = keyof KernelTable;
export const kernels: Readonly<Record<KernelName, Kernel>> = table;
export const kernelNames = Object.keys(table) as KernelName[];

/** Whether a thread's workspace holds what a call of these sizes needs. */
export const fitsThread = (kernel: KernelName, sizes: Sizes, { threadScratch }: EngineLimits): boolean =>
  (kernels[kernel].threadScratch?.(sizes) ?? 0) <= threadScratch;
