import { XlstmError } from '../../../errors.ts';
import type { EngineOptions } from '../engine.ts';
import { inNode } from '../host.ts';

/** What matrices of subgroups multiply; their sums are float32. */
export type MatrixOperands = NonNullable<EngineOptions['subgroupMatrices']>;

/** A product C[M, N] += A[M, K] · B[K, N] that the subgroups of an adapter compute at once, as Dawn reports it. */
export interface MatrixConfig {
  readonly componentType: string;
  readonly resultComponentType: string;
  readonly M: number;
  readonly N: number;
  readonly K: number;
}

/**
 * Matrices of subgroups in WGSL: expressions that every invocation of a subgroup computes at once. They lie in workgroup
 * memory as the arrays `left` (of A, one column after the other), `right` (of B, one row after the other) and `sums` (of C,
 * one row after the other), where `at` is the first element and `stride` the elements from one column or row to the next.
 */
export interface MatrixUnit {
  readonly config: MatrixConfig;
  /** Invocations of a subgroup, at most; a workgroup is a multiple of them. */
  readonly lanes: number;
  /** Features that a device needs for it. */
  readonly features: readonly GPUFeatureName[];
  /** Directives that a text begins with. */
  readonly directives: string;
  /** Parameters of the entry point. */
  readonly parameters: string;
  /** Statements that the entry point begins with: it knows the number of its subgroup as `subgroup_id`. */
  readonly statements: string;
  /** Declarations. */
  readonly module: string;
  /** The type of the elements of `left` and `right`, and a float32 as one. */
  readonly element: string;
  operand(x: string): string;
  zero(): string;
  left(at: string, stride: number): string;
  right(at: string, stride: number): string;
  multiplyAdd(left: string, right: string, sum: string): string;
  /** A statement. */
  store(at: string, sum: string, stride: number): string;
}

/** The extension of Dawn and Chromium, by its proposal for WebGPU (gpuweb, proposals/subgroup-matrix.md). */
export const MATRIX_FEATURE = 'chromium-experimental-subgroup-matrix' as GPUFeatureName;

/** Subgroup matrices of the device. */
export function hardwareMatrices(config: MatrixConfig, lanes: number): MatrixUnit {
  const { componentType: element, resultComponentType: result, M, N, K } = config;
  const halves = element === 'f16';
  return {
    config,
    lanes,
    features: ['subgroups', MATRIX_FEATURE, ...(halves ? (['shader-f16'] as const) : [])],
    directives: `enable subgroups;\nenable chromium_experimental_subgroup_matrix;\n${halves ? 'enable f16;\n' : ''}`,
    parameters: ', @builtin(subgroup_id) subgroup_id: u32',
    statements: '',
    module: '',
    element,
    operand: (x) => (halves ? `f16(${x})` : x),
    zero: () => `subgroup_matrix_result<${result}, ${N}, ${M}>()`,
    left: (at, stride) =>
      `subgroupMatrixLoad<subgroup_matrix_left<${element}, ${K}, ${M}>, col_major>(&left, ${at}, ${stride}u)`,
    right: (at, stride) =>
      `subgroupMatrixLoad<subgroup_matrix_right<${element}, ${N}, ${K}>, row_major>(&right, ${at}, ${stride}u)`,
    multiplyAdd: (left, right, sum) => `subgroupMatrixMultiplyAccumulate(${left}, ${right}, ${sum})`,
    store: (at, sum, stride) => `subgroupMatrixStore<row_major>(&sums, ${at}, ${sum}, ${stride}u);`,
  };
}

/** The adapter's info, with what Dawn adds to it. */
type MatrixInfo = GPUAdapterInfo & { readonly subgroupMatrixConfigs?: Iterable<MatrixConfig> };

/** Whether kernels/gemm_matrices.ts makes tiles of them. */
const fitsTiles = ({ M, N, K }: MatrixConfig): boolean => 16 % M === 0 && 16 % N === 0 && 16 % K === 0;

/** The adapter's products of such operands with float32 sums, those that it prefers first. */
export function matrixConfigs(adapter: GPUAdapter, operands: MatrixOperands): MatrixConfig[] {
  if (!adapter.features.has(MATRIX_FEATURE)) return [];
  return [...((adapter.info as MatrixInfo).subgroupMatrixConfigs ?? [])].filter(
    (config) =>
      config.componentType === operands && config.resultComponentType === 'f32' && fitsTiles(config),
  );
}

const sizeText = ({ M, N, K }: MatrixConfig): string => `${M} × ${N} × ${K}`;

/** For people: for example "f16, 16 × 16 × 16". */
export const configText = (config: MatrixConfig): string => `${config.componentType}, ${sizeText(config)}`;

/** What products are computed with where it was asked for; an error of code `engine` where the adapter has not what it takes. */
export function findMatrices(
  adapter: GPUAdapter,
  features: readonly GPUFeatureName[],
  description: string,
  operands: MatrixOperands,
): MatrixUnit {
  const lack = (what: string, hint = 'leave subgroupMatrices out'): XlstmError =>
    new XlstmError('engine', `subgroupMatrices: ${description} has no ${what}`, hint);
  if (!adapter.features.has(MATRIX_FEATURE)) {
    const hint = 'leave subgroupMatrices out, or start Chromium with --enable-unsafe-webgpu';
    throw lack(`subgroup matrices (feature ${MATRIX_FEATURE})`, inNode ? undefined : hint);
  }
  if (!features.includes('subgroups')) throw lack('subgroups that know their number (subgroup_id)');
  const [config] = matrixConfigs(adapter, operands);
  if (!config) {
    const all = [...((adapter.info as MatrixInfo).subgroupMatrixConfigs ?? [])].map(
      (other) => `${other.componentType} with sums in ${other.resultComponentType}, ${sizeText(other)}`,
    );
    throw lack(
      `matrices of ${operands} with sums in f32 that tiles of 16 × 16 × 16 are made of; ` +
        `it has ${all.length > 0 ? all.join('; ') : 'none'}`,
    );
  }
  if (operands === 'f16' && !adapter.features.has('shader-f16')) throw lack('numbers of f16 (shader-f16)');
  return hardwareMatrices(config, adapter.info.subgroupMaxSize);
}
