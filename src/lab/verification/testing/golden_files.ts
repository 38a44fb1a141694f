import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Engine } from '../../../compute/engines/engine.ts';
import { verifyFile } from '../verify.ts';

export const folder = fileURLToPath(new URL('../../../../test/golden/', import.meta.url));

/** Tensors that a file expects, each once for every case. */
const files = {
  'mlstm_cell.safetensors': 12 * 10,
  'slstm_cell.safetensors': 84,
  'lm_mlstm.safetensors': 34,
  'lm_slstm.safetensors': 32,
  'lm_mixed.safetensors': 60,
  large_tiny: 8,
  large_sharded: 1,
  tirex1_tiny: 48,
  tirex2_tiny: 72,
};

/** Declares a test for each file, on one engine. */
export function verifiesAll(open: () => Promise<Engine>): void {
  let engine: Engine;
  beforeAll(async () => {
    engine = await open();
  });
  afterAll(() => engine.close());
  for (const [name, count] of Object.entries(files)) {
    it(name, { timeout: 300_000 }, async () => {
      const { rows } = await verifyFile(engine, folder + name);
      expect(rows.filter((row) => !row.passed)).toEqual([]);
      expect(rows.length).toBe(count);
    });
  }
}
