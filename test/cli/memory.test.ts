import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

const script = fileURLToPath(new URL('../../bench/memory.js', import.meta.url));

it.each(['auto', 'wasm'])(
  'training stays in the same memory (%s)',
  async (engine) => {
    const { stdout } = await promisify(execFile)(process.execPath, [script, '800', engine]);
    const { resident } = JSON.parse(stdout) as { resident: number[] };
    expect(resident).toHaveLength(4);
    // By step 400 nearly every thread has taken its share of memory from the system. 20 kB lost a step would show.
    const [, warm, , end] = resident;
    expect(end / warm).toBeLessThan(1.07);
  },
  180_000,
);
