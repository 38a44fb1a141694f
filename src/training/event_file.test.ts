import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { EventFile } from './event_file.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'xlstm-events-'));
});
afterEach(() => rm(folder, { recursive: true }));

/** The data of the records of a file. */
function records(file: Buffer): Buffer[] {
  const found: Buffer[] = [];
  for (let at = 0; at < file.length; ) {
    const length = Number(file.readBigUInt64LE(at));
    found.push(file.subarray(at + 12, at + 12 + length));
    at += 12 + length + 4;
  }
  return found;
}

// That TensorBoard reads them is tried by bench/peers/tensorboard_events.py.
describe('EventFile', () => {
  it('begins as the files of TensorFlow do', async () => {
    const events = new EventFile(join(folder, 'new', 'logs'), 7);
    events.close();
    const file = await readFile(events.path);
    // A length of 24 and its masked CRC-32C, then the field of a time.
    expect(file.subarray(0, 13).toString('hex')).toBe('1800000000000000a37f4b2209');
    const [version, session, ...more] = records(file);
    expect(version.subarray(9).toString('latin1')).toBe('\x1a\rbrain.Event:2');
    expect(session.subarray(9).toString('hex')).toBe('10073a020801');
    expect(more).toEqual([]);
  });

  it('has a record of numbers by their names for each step, in files that sort by their time', async () => {
    const events = new EventFile(folder);
    events.append(300, { loss: 0.5, 'learning rate': 1 });
    events.append(301, { loss: Number.NaN });
    events.close();
    const [, , one, other] = records(await readFile(events.path));
    expect(one.readDoubleLE(1)).toBeCloseTo(Date.now() / 1000, -2);
    expect(one.subarray(9).toString('hex')).toBe(
      `10ac02${'2a23'}${'0a0b'}0a046c6f7373150000003f${'0a14'}0a0d${Buffer.from('learning rate').toString('hex')}150000803f`,
    );
    expect(other.subarray(-4).readFloatLE()).toBeNaN();
    expect(() => events.append(302, {})).toThrow('append after close');
    await new Promise((resolve) => setTimeout(resolve, 5));
    const later = new EventFile(folder, 302);
    later.close();
    expect([later.path, events.path].sort()).toEqual([events.path, later.path]);
  });

  it('says where nothing can be written', async () => {
    await writeFile(join(folder, 'file'), '');
    expect(() => new EventFile(join(folder, 'file'))).toThrow(
      expect.objectContaining({ code: 'data', message: expect.stringMatching(/file.*cannot be written/) }),
    );
  });
});
