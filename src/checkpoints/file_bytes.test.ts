import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { fileBytes } from './file_bytes.ts';
import { parseSafetensors, safetensorsHeader } from './safetensors.ts';

it('tensors beyond 2 and 4 GiB of a file are read where they are', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'xlstm-large-file-'));
  try {
    const path = join(folder, 'model.safetensors');
    const file = await open(path, 'wx+');
    try {
      // Nearly all of it is never written and takes no room on the disk.
      const shape = [600_000, 1024];
      const header = safetensorsHeader([
        ['gap', { dtype: 'F32', shape }],
        ['middle', { dtype: 'BF16', shape: [3] }],
        ['wide', { dtype: 'F32', shape }],
        ['end', { dtype: 'F32', shape: [2] }],
      ]);
      const size = 4 * shape[0] * shape[1];
      expect(size).toBeGreaterThan(2 ** 31);
      await file.write(header, 0, header.length, 0);
      await file.write(
        new Uint8Array(Uint16Array.of(0x3f80, 0x4000, 0xbf80).buffer),
        0,
        6,
        header.length + size,
      );
      const row = new Float32Array(1024).fill(0.25);
      const last = header.length + size + 6 + size - row.byteLength;
      await file.write(new Uint8Array(row.buffer), 0, row.byteLength, last);
      await file.write(new Uint8Array(Float32Array.of(5, -7).buffer), 0, 8, last + row.byteLength);
      const { tensors } = parseSafetensors(await fileBytes(file, path), path);
      expect(tensors.get('middle')?.read()).toEqual(Float32Array.of(1, 2, -1));
      expect(tensors.get('end')?.read()).toEqual(Float32Array.of(5, -7));
      const wide = tensors.get('wide');
      expect(wide?.read(size / 4 - 1025, size / 4)).toEqual(Float32Array.from([0, ...row]));
      await file.truncate(last + row.byteLength);
      expect(() => tensors.get('end')?.read()).toThrow(/it was cut off/);
    } finally {
      await file.close();
    }
  } finally {
    await rm(folder, { recursive: true });
  }
});
