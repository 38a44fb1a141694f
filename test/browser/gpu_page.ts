import { chooseEngine } from '../../src/compute/engines/choose.ts';
import { GoldenFile } from '../../src/lab/verification/golden.ts';
import { type Row, verifyGolden } from '../../src/lab/verification/verify.ts';

/** What the page of webgpu.test.ts does, beside the library: golden vectors from addresses. */
export async function verifyAddresses(addresses: readonly string[]): Promise<Row[]> {
  const { engine } = await chooseEngine('webgpu');
  const rows: Row[] = [];
  for (const address of addresses) {
    const bytes = new Uint8Array(await (await fetch(address)).arrayBuffer());
    rows.push(...(await verifyGolden(engine, new GoldenFile(bytes, address))).rows);
  }
  await engine.close();
  return rows;
}
