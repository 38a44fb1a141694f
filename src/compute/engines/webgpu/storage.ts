import { XlstmError } from '../../../errors.ts';
import { bytesOf, type Dtype, dtypes } from '../../program/dtypes.ts';
import type { Values } from '../engine.ts';
import type { Storage } from '../memory.ts';

/** Bits of GPUBufferUsage and GPUMapMode, by WebGPU's text: Node has no globals for them. */
export const usage = {
  mapRead: 0x1,
  copySource: 0x4,
  copyTarget: 0x8,
  uniform: 0x40,
  storage: 0x80,
  queryResolve: 0x200,
} as const;

const SLOT = bytesOf('f32');

/** Memory of a GPU. The queue does everything in the order of the calls. */
export class GpuStorage implements Storage {
  readonly bytes: number;
  readonly buffer: GPUBuffer;
  readonly #device: GPUDevice;
  readonly #failed: (error: Error) => XlstmError;

  /** `failed` hears where the device has no memory for it, which shows later. */
  constructor(device: GPUDevice, bytes: number, what: string, failed: (error: Error) => XlstmError) {
    const { maxBufferSize, maxStorageBufferBindingSize } = device.limits;
    const most = Math.min(maxBufferSize, maxStorageBufferBindingSize);
    if (bytes > most) {
      throw new XlstmError(
        'engine',
        `no memory for ${what}: it takes ${bytes.toLocaleString('en-US')} bytes, the graphics processor ` +
          `gives ${most.toLocaleString('en-US')} at once`,
        'use a smaller batch, context or model, or another engine',
      );
    }
    this.bytes = bytes;
    this.#device = device;
    this.#failed = failed;
    device.pushErrorScope('out-of-memory');
    this.buffer = device.createBuffer({
      label: what,
      size: Math.max(bytes, SLOT),
      usage: usage.storage | usage.copySource | usage.copyTarget,
    });
    void device.popErrorScope().then(
      (error) => {
        if (error)
          failed(new Error(`no memory for ${what}: ${bytes.toLocaleString('en-US')} bytes were refused`));
      },
      () => {}, // the device is lost, which is told elsewhere
    );
  }

  write(values: ArrayLike<number>, at: number, dtype: Dtype): void {
    if (values.length === 0) return;
    const { array } = dtypes[dtype];
    const numbers = values instanceof array ? values : array.from(values);
    this.#device.queue.writeBuffer(
      this.buffer,
      at * SLOT,
      numbers.buffer as ArrayBuffer,
      numbers.byteOffset,
      numbers.byteLength,
    );
  }

  async read(at: number, count: number, dtype: Dtype): Promise<Values> {
    if (count === 0) return new Float32Array(0);
    const size = count * SLOT;
    const staging = this.#device.createBuffer({ size, usage: usage.mapRead | usage.copyTarget });
    const commands = this.#device.createCommandEncoder();
    commands.copyBufferToBuffer(this.buffer, at * SLOT, staging, 0, size);
    this.#device.queue.submit([commands.finish()]);
    try {
      await staging.mapAsync(usage.mapRead);
      const bytes = staging.getMappedRange().slice(0);
      return dtype === 'i32' ? Float64Array.from(new Int32Array(bytes)) : new Float32Array(bytes);
    } catch (error) {
      throw this.#failed(error as Error);
    } finally {
      staging.destroy();
    }
  }

  clear(): void {
    this.#encode((commands) => commands.clearBuffer(this.buffer));
  }

  async lend<T>(work: (values: Values) => T | Promise<T>): Promise<T> {
    const values = await this.read(0, this.bytes / SLOT, 'f32');
    const result = await work(values);
    this.write(values, 0, 'f32');
    return result;
  }

  copy(source: GpuStorage, from: number, count: number, at: number): void {
    if (count === 0) return;
    this.#encode((commands) =>
      commands.copyBufferToBuffer(source.buffer, from * SLOT, this.buffer, at * SLOT, count * SLOT),
    );
  }

  release(): void {
    this.buffer.destroy();
  }

  #encode(record: (commands: GPUCommandEncoder) => void): void {
    const commands = this.#device.createCommandEncoder();
    record(commands);
    this.#device.queue.submit([commands.finish()]);
  }
}
