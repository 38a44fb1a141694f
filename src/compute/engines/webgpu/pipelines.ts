import { XlstmError } from '../../../errors.ts';

/** Compiled shaders of a device by their text: layers of one shape share them. */
export class Pipelines {
  readonly #device: GPUDevice;
  readonly #compiled = new Map<string, Promise<GPUComputePipeline>>();
  readonly #layouts = new Map<number, GPUBindGroupLayout>();

  constructor(device: GPUDevice) {
    this.#device = device;
  }

  /** Binding 0: words; then so many regions. */
  layout(regions: number): GPUBindGroupLayout {
    const known = this.#layouts.get(regions);
    if (known) return known;
    const visibility = 0x4; // GPUShaderStage.COMPUTE
    const layout = this.#device.createBindGroupLayout({
      entries: [
        { binding: 0, visibility, buffer: { type: 'uniform' } },
        ...Array.from({ length: regions }, (_, i) => ({
          binding: i + 1,
          visibility,
          buffer: { type: 'storage' as const },
        })),
      ],
    });
    this.#layouts.set(regions, layout);
    return layout;
  }

  /** `kernel` names it where it does not compile. */
  compile(kernel: string, text: string, regions: number): Promise<GPUComputePipeline> {
    const known = this.#compiled.get(text);
    if (known) return known;
    const device = this.#device;
    device.pushErrorScope('validation'); // what is wrong with the text is told below
    const module = device.createShaderModule({ label: kernel, code: text });
    device.popErrorScope().catch(() => {});
    const layout = device.createPipelineLayout({ bindGroupLayouts: [this.layout(regions)] });
    const compiled = device
      .createComputePipelineAsync({ label: kernel, layout, compute: { module, entryPoint: 'main' } })
      .catch(async (error: Error) => {
        const { messages } = await module.getCompilationInfo();
        const first = messages.find(({ type }) => type === 'error');
        const where = first
          ? `${first.message} (line ${first.lineNum}: ${text.split('\n')[first.lineNum - 1]})`
          : error.message;
        throw new XlstmError('engine', `the shader of kernel ${kernel} does not compile: ${where}`);
      });
    this.#compiled.set(text, compiled);
    return compiled;
  }
}
