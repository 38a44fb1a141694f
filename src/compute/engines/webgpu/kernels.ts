import type { KernelName } from '../../program/kernels.ts';
import { attentionBackward, attentionForward, rotate } from './kernels/attention.ts';
import { blockLinear, blockLinearGradient } from './kernels/block_linear.ts';
import { convBackward, convForward } from './kernels/conv.ts';
import { deltaScanBackward, deltaScanForward } from './kernels/delta_scan.ts';
import { embeddingBackward, embeddingForward } from './kernels/embedding.ts';
import { gemm, gemmBf16 } from './kernels/gemm.ts';
import { linearScanBackward, linearScanForward } from './kernels/linear_scan.ts';
import { map } from './kernels/map.ts';
import { mlstmBackward, mlstmBackwardBf16 } from './kernels/mlstm_backward.ts';
import { mlstmForward, mlstmForwardBf16, mlstmStep } from './kernels/mlstm_forward.ts';
import { mlstmProjectionsBackward, mlstmProjectionsForward } from './kernels/mlstm_projections.ts';
import { gatedNormBackward, gatedNormForward, normBackward, normForward } from './kernels/norm.ts';
import { packedLinear } from './kernels/packed_linear.ts';
import { panelLinear } from './kernels/panel_linear.ts';
import { recurrentBackward, recurrentForward } from './kernels/recurrent.ts';
import { selectiveScanBackward, selectiveScanForward } from './kernels/selective_scan.ts';
import { adamw, crossEntropyBackward, crossEntropyForward, reduce } from './kernels/training.ts';
import type { Lowering } from './shader.ts';

/** All kernels in WGSL. */
export const lowerings: { readonly [Name in KernelName]: Lowering } = {
  map,
  gemm,
  gemmBf16,
  packedLinear,
  panelLinear,
  blockLinear,
  blockLinearGradient,
  normForward,
  normBackward,
  embeddingForward,
  embeddingBackward,
  convForward,
  convBackward,
  gatedNormForward,
  gatedNormBackward,
  crossEntropyForward,
  crossEntropyBackward,
  reduce,
  adamw,
  mlstmProjectionsForward,
  mlstmProjectionsBackward,
  mlstmForward,
  mlstmForwardBf16,
  mlstmBackward,
  mlstmBackwardBf16,
  mlstmStep,
  recurrentForward,
  recurrentBackward,
  rotate,
  attentionForward,
  attentionBackward,
  linearScanForward,
  linearScanBackward,
  selectiveScanForward,
  selectiveScanBackward,
  deltaScanForward,
  deltaScanBackward,
};
