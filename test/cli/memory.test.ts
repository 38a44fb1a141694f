import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

const script = fileURLToPath(new URL('../../bench/memory.js', import.meta.url));

it.each(['auto', 'wasm'])(
  'training stays in the same memory (%s)',
  { retry: 2, timeout: 180_000 },
  async (engine) => {
    const { stdout } = await promisify(execFile)(process.execPath, [script, '800', engine]);
    const { resident } = JSON.parse(stdout) as { resident: number[] };
    expect(resident).toHaveLength(4);
    // What other processes make the system do shows too, but not three times in a row.
    // By step 400 nearly every thread has taken its share of memory from the system. 20 kB lost a step would show.
    const [, warm, , end] = resident;
    expect(end / warm).toBeLessThan(1.07);
  },
);
