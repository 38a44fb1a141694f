import { closeSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { ensureFolder } from '../checkpoints/ensure_folder.ts';
import { checkWhole } from '../checks.ts';
import { XlstmError } from '../errors.ts';
import { Message } from '../protobuf.ts';

/**
 * Numbers of steps as TensorBoard reads them: a file of records, each an `Event` of its protocol buffers between its
 * length and checksums.
 */
export class EventFile {
  /** The file. */
  readonly path: string;
  readonly #file: number;
  #size = 0;
  #unwritten: Uint8Array[] = [];
  #open = true;

  /**
   * Makes the folder and a new file in it; a run may have several there. Events of `firstStep` and later ones in older
   * files are those of a run that was stopped: TensorBoard leaves them out. Throws a data error where that cannot be
   * written.
   */
  constructor(folder: string, firstStep = 1) {
    checkWhole('firstStep', firstStep, 0);
    const now = Date.now() / 1000;
    // Files are read in the order of their names.
    const name = `events.out.tfevents.${now.toFixed(3).padStart(14, '0')}.${hostname()}.${process.pid}`;
    this.path = join(folder, name);
    try {
      ensureFolder(folder);
      this.#file = openSync(this.path, 'wx');
    } catch (error) {
      throw new XlstmError('data', `${this.path}: cannot be written (${(error as Error).message})`);
    }
    const started = new Message().int(SESSION.status, SESSION_STARTED);
    this.#unwritten.push(
      record(new Message().double(EVENT.wallTime, now).text(EVENT.fileVersion, 'brain.Event:2')),
      record(
        new Message()
          .double(EVENT.wallTime, now)
          .int(EVENT.step, firstStep)
          .message(EVENT.sessionLog, started),
      ),
    );
    this.flush();
  }

  /**
   * Adds numbers by their names. What cannot be written is kept and written with the next; the data error says so.
   */
  append(step: number, scalars: Readonly<Record<string, number>>): void {
    const summary = new Message();
    for (const [tag, value] of Object.entries(scalars)) {
      summary.message(SUMMARY_VALUE, new Message().text(VALUE.tag, tag).float(VALUE.simpleValue, value));
    }
    const event = new Message().double(EVENT.wallTime, Date.now() / 1000).int(EVENT.step, step);
    this.#unwritten.push(record(event.message(EVENT.summary, summary)));
    this.flush();
  }

  /** Writes what could not be written before. */
  flush(): void {
    if (!this.#open) throw new XlstmError('usage', `${this.path}: append after close`);
    for (let bytes = this.#unwritten[0]; bytes !== undefined; bytes = this.#unwritten[0]) {
      try {
        const written = writeSync(this.#file, bytes);
        if (written !== bytes.length) throw new Error(`${written} of ${bytes.length} bytes were written`);
      } catch (error) {
        // Half a record would hide all that come behind it.
        ftruncateSync(this.#file, this.#size);
        throw new XlstmError('data', `${this.path}: cannot be written (${(error as Error).message})`);
      }
      this.#size += bytes.length;
      this.#unwritten.shift();
    }
  }

  /** Nothing can be added from here on. */
  close(): void {
    if (this.#open) closeSync(this.#file);
    this.#open = false;
  }
}

/** Numbers of fields, as event.proto and summary.proto of TensorFlow give them. */
const EVENT = { wallTime: 1, step: 2, fileVersion: 3, summary: 5, sessionLog: 7 };
const SUMMARY_VALUE = 1;
const VALUE = { tag: 1, simpleValue: 2 };
const SESSION = { status: 1 };
const SESSION_STARTED = 1;

/** TFRecord: u64 length, its masked checksum, the data, its masked checksum; little endian. */
function record(event: Message): Uint8Array {
  const data = event.toBytes();
  const bytes = new Uint8Array(8 + 4 + data.length + 4);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, BigInt(data.length), true);
  view.setUint32(8, maskedChecksum(bytes.subarray(0, 8)), true);
  bytes.set(data, 12);
  view.setUint32(12 + data.length, maskedChecksum(data), true);
  return bytes;
}

/** CRC-32C (Castagnoli), reflected. */
const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  return crc >>> 0;
});

function maskedChecksum(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = CRC_TABLE[(crc ^ byte) & 0xff] ^ (crc >>> 8);
  crc = ~crc >>> 0;
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}
