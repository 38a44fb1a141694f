import { type Finding, missing } from '../finding.ts';
import { findAdapter } from './device.ts';
import { configText, matrixConfigs } from './subgroup_matrices.ts';

/** Features of which kernels or measurements make use. */
const features = {
  'timestamp-query': 'time of each kernel: xlstm bench profile --engine webgpu',
  subgroups: 'sums across the lanes of a workgroup',
} as const satisfies Partial<Record<GPUFeatureName, string>>;

/** Matrices of subgroups that large products can be computed in, where the engine is asked to. */
function matricesFound(adapter: GPUAdapter): Finding {
  const [found] = (['f32', 'f16'] as const).flatMap((operands) => matrixConfigs(adapter, operands));
  return {
    name: 'subgroup matrices',
    present: found !== undefined,
    detail: found
      ? `of ${configText(found)}: for large products, with the option subgroupMatrices`
      : 'for large products, with the option subgroupMatrices',
  };
}

const megabytes = (bytes: number): string => `${Math.round(bytes / 2 ** 20).toLocaleString('en-US')} MiB`;

/** Looks for a graphics processor without opening it: the engine, and what of it decides what runs there. */
export async function findWebgpu(): Promise<{ engine: Finding; parts: readonly Finding[] }> {
  const name = 'webgpu';
  try {
    const { adapter, description, features: used } = await findAdapter(true);
    const { limits, info } = adapter;
    const largest = Math.min(limits.maxBufferSize, limits.maxStorageBufferBindingSize);
    const driver = [info.vendor, info.architecture, info.device].filter(Boolean).join(' ');
    const software = /swiftshader|llvmpipe|lavapipe|basic render/i.test(`${driver} ${description}`);
    return {
      engine: {
        name,
        present: true,
        detail: `${description} (${driver})${software ? ': computed by the processor, far slower than native or wasm' : ''}`,
      },
      parts: [
        {
          name: 'webgpu limits',
          present: true,
          detail:
            `buffers up to ${megabytes(largest)}, ${limits.maxStorageBuffersPerShaderStage} of them a kernel, ` +
            `${limits.maxComputeWorkgroupStorageSize / 1024} KiB and ${limits.maxComputeInvocationsPerWorkgroup} ` +
            'invocations a workgroup',
        },
        ...Object.entries(features).map(([feature, use]) => ({
          name: feature,
          present: used.includes(feature as GPUFeatureName),
          detail: use,
        })),
        matricesFound(adapter),
      ],
    };
  } catch (error) {
    return { engine: missing(name, error), parts: [] };
  }
}
