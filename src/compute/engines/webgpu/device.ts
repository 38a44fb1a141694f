import { XlstmError } from '../../../errors.ts';
import { inNode, nodeHost } from '../host.ts';

/** What a GPU is called, for people. */
export interface Adapter {
  readonly adapter: GPUAdapter;
  /** Those of its features that kernels make use of. */
  readonly features: readonly GPUFeatureName[];
  /** For example "google swiftshader". */
  readonly description: string;
}

const noAdapter = (found: string, hint: string): XlstmError =>
  new XlstmError('engine', `WebGPU finds no graphics processor${found}`, hint);

const DRIVER = 'install a driver with Vulkan (on Linux also its loader: libvulkan1), or use another engine';

/**
 * Kernels write workgroup memory before they read it. Zeroing it first costs each of them time, and a GPU in software
 * compiles it for seconds.
 */
const WITHOUT_ZEROING = 'enable-dawn-features=disable_workgroup_init';

/** What has no standard yet, which Dawn has in its API only then; and f16 on Nvidia's cards, which it distrusts there. */
const WITH_EXPERIMENTS = `${WITHOUT_ZEROING},allow_unsafe_apis,vulkan_enable_f16_on_nvidia`;

/**
 * WebGPU of this process, with experiments and without. Node's comes from the optional package "webgpu". One instance of
 * each serves the process and is kept: devices of an instance that was collected crash it.
 */
const instances = new Map<boolean, Promise<GPU>>();
const gaveAdapter = new Set<boolean>();

async function gpu(experiments: boolean): Promise<GPU> {
  if (!inNode) {
    if ('gpu' in navigator) return navigator.gpu;
    throw new XlstmError(
      'engine',
      'this browser has no WebGPU, or the page is not served over HTTPS or from localhost',
      'use a current browser, or the wasm engine',
    );
  }
  const known = instances.get(experiments);
  if (known) return known;
  const instance = nodeInstance(experiments);
  instances.set(experiments, instance);
  instance.catch(() => instances.delete(experiments)); // what was missing may be installed meanwhile
  return instance;
}

async function nodeInstance(experiments: boolean): Promise<GPU> {
  const { importWebgpu, vulkanLack } = await nodeHost();
  let dawn: Awaited<ReturnType<typeof importWebgpu>>;
  try {
    dawn = await importWebgpu();
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw code === 'ERR_MODULE_NOT_FOUND'
      ? new XlstmError(
          'engine',
          'the package "webgpu", which brings WebGPU to Node, is not installed',
          'install it with "npm install webgpu@0.6.2", or use another engine',
        )
      : new XlstmError(
          'engine',
          `the package "webgpu", which brings WebGPU to Node, does not load: ${message.split('\n')[0]}`,
          'install it again for this platform, or use another engine',
        );
  }
  const lack = await vulkanLack();
  if (lack === 'loader') {
    const hint = 'install libvulkan1 and a driver with Vulkan, or use another engine';
    throw noAdapter(": Vulkan's loader, libvulkan.so.1, is not there", hint);
  }
  if (lack) {
    throw noAdapter(': Vulkan has no driver', 'install a driver with Vulkan, or use another engine');
  }
  return dawn.create([experiments ? WITH_EXPERIMENTS : WITHOUT_ZEROING]) as GPU;
}

/** The fastest adapter that the host offers. In Node it has what is experimental only where that is asked for. */
export async function findAdapter(experiments = false): Promise<Adapter> {
  const host = await gpu(experiments);
  const adapter = await host.requestAdapter({ powerPreference: 'high-performance' });
  if (!adapter) {
    if (!gaveAdapter.has(experiments)) instances.delete(experiments); // a driver may be found later
    throw noAdapter('', inNode ? DRIVER : 'allow the browser hardware acceleration, or use the wasm engine');
  }
  gaveAdapter.add(experiments);
  const { vendor, architecture, device, description } = adapter.info;
  const named = [vendor, architecture, device].filter(Boolean).join(' ');
  const features = (['timestamp-query', 'subgroups'] as const).filter(
    (name) =>
      adapter.features.has(name) &&
      // Sums need the number of a subgroup, by a later addition to the language.
      (name !== 'subgroups' || host.wgslLanguageFeatures.has('subgroup_id')),
  );
  return { adapter, features, description: description || named || 'an unnamed graphics processor' };
}

/** A device with all that the adapter allows, for Programs are planned to its limits; and with `further` features. */
export async function openDevice(
  { adapter, features, description }: Adapter,
  further: readonly GPUFeatureName[] = [],
): Promise<GPUDevice> {
  const { limits } = adapter;
  try {
    return await adapter.requestDevice({
      requiredFeatures: [...new Set([...features, ...further])],
      requiredLimits: {
        maxBufferSize: limits.maxBufferSize,
        maxStorageBufferBindingSize: limits.maxStorageBufferBindingSize,
        maxStorageBuffersPerShaderStage: limits.maxStorageBuffersPerShaderStage,
        maxComputeWorkgroupStorageSize: limits.maxComputeWorkgroupStorageSize,
      },
    });
  } catch (error) {
    throw new XlstmError(
      'engine',
      `${description} gives no device: ${(error as Error).message}`,
      'close other programs that use the graphics processor, or use another engine',
    );
  }
}
