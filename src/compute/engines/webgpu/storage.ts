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

/** Bytes within one page. */
interface Piece {
  readonly buffer: GPUBuffer;
  readonly offset: number;
  readonly bytes: number;
  /** Bytes of the whole that lie before it. */
  readonly before: number;
}

/** Memory of a GPU, in pages. The queue does everything in the order of the calls. */
export class GpuStorage implements Storage {
  readonly bytes: number;
  readonly pages: readonly GPUBuffer[];
  readonly #pageBytes: number;
  readonly #device: GPUDevice;
  readonly #failed: (error: Error) => XlstmError;

  /** `failed` hears where the device has no memory for it, which shows later. */
  constructor(
    device: GPUDevice,
    bytes: number,
    pageBytes: number,
    what: string,
    failed: (error: Error) => XlstmError,
  ) {
    this.bytes = bytes;
    this.#pageBytes = pageBytes;
    this.#device = device;
    this.#failed = failed;
    device.pushErrorScope('out-of-memory');
    this.pages = Array.from({ length: Math.max(Math.ceil(bytes / pageBytes), 1) }, (_, page) =>
      device.createBuffer({
        label: what,
        size: Math.max(Math.min(bytes - page * pageBytes, pageBytes), SLOT),
        usage: usage.storage | usage.copySource | usage.copyTarget,
      }),
    );
    void device.popErrorScope().then(
      (error) => {
        if (!error) return;
        const message = `no memory for ${what}: ${bytes.toLocaleString('en-US')} bytes were refused; `;
        failed(
          new XlstmError(
            'engine',
            `${message}the webgpu engine cannot be used any more`,
            'create another engine, for a smaller batch, context or model; what was in the memory of this one is lost',
          ),
        );
      },
      () => {}, // the device is lost, which is told elsewhere
    );
  }

  write(values: ArrayLike<number>, at: number, dtype: Dtype): void {
    const { array } = dtypes[dtype];
    const numbers = values instanceof array ? values : array.from(values);
    for (const { buffer, offset, bytes, before } of this.#pieces(at * SLOT, numbers.byteLength)) {
      const from = numbers.byteOffset + before;
      this.#device.queue.writeBuffer(buffer, offset, numbers.buffer as ArrayBuffer, from, bytes);
    }
  }

  async read(at: number, count: number, dtype: Dtype): Promise<Values> {
    const pieces = [...this.#pieces(at * SLOT, count * SLOT)];
    const copies = pieces.map(({ bytes }) =>
      this.#device.createBuffer({ size: bytes, usage: usage.mapRead | usage.copyTarget }),
    );
    this.#encode((commands) => {
      for (const [i, { buffer, offset, bytes }] of pieces.entries())
        commands.copyBufferToBuffer(buffer, offset, copies[i], 0, bytes);
    });
    try {
      await Promise.all(copies.map((copy) => copy.mapAsync(usage.mapRead)));
      const found = new Uint8Array(count * SLOT);
      for (const [i, { before }] of pieces.entries())
        found.set(new Uint8Array(copies[i].getMappedRange()), before);
      return dtype === 'i32'
        ? Float64Array.from(new Int32Array(found.buffer))
        : new Float32Array(found.buffer);
    } catch (error) {
      throw this.#failed(error as Error);
    } finally {
      for (const copy of copies) copy.destroy();
    }
  }

  clear(): void {
    this.#encode((commands) => {
      for (const page of this.pages) commands.clearBuffer(page);
    });
  }

  async lend<T>(work: (values: Values) => T | Promise<T>): Promise<T> {
    const values = await this.read(0, this.bytes / SLOT, 'f32');
    const result = await work(values);
    this.write(values, 0, 'f32');
    return result;
  }

  copy(source: GpuStorage, from: number, count: number, at: number): void {
    this.#encode((commands) => {
      for (const { buffer, offset, bytes, before } of this.#pieces(at * SLOT, count * SLOT))
        source.copyOut(commands, from * SLOT + before, bytes, buffer, offset);
    });
  }

  /** Adds to commands that bytes are copied to a buffer. */
  copyOut(commands: GPUCommandEncoder, from: number, count: number, target: GPUBuffer, at: number): void {
    for (const { buffer, offset, bytes, before } of this.#pieces(from, count))
      commands.copyBufferToBuffer(buffer, offset, target, at + before, bytes);
  }

  /** Adds to commands that bytes are copied from a buffer. */
  copyIn(commands: GPUCommandEncoder, at: number, count: number, source: GPUBuffer, from: number): void {
    for (const { buffer, offset, bytes, before } of this.#pieces(at, count))
      commands.copyBufferToBuffer(source, from + before, buffer, offset, bytes);
  }

  release(): void {
    for (const page of this.pages) page.destroy();
  }

  *#pieces(from: number, count: number): Generator<Piece> {
    for (let at = from; at < from + count; ) {
      const offset = at % this.#pageBytes;
      const bytes = Math.min(this.#pageBytes - offset, from + count - at);
      yield { buffer: this.pages[Math.floor(at / this.#pageBytes)], offset, bytes, before: at - from };
      at += bytes;
    }
  }

  #encode(record: (commands: GPUCommandEncoder) => void): void {
    const commands = this.#device.createCommandEncoder();
    record(commands);
    this.#device.queue.submit([commands.finish()]);
  }
}
