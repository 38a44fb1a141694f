/**
 * The content of a file: a Uint8Array, or what reads a file on the disk piece by piece. A piece refers to the content
 * or is a copy of it.
 */
export interface Bytes {
  /** Bytes in all. */
  readonly length: number;
  /** The bytes from `begin` up to `end`. Throws a checkpoint error where a file does not give them. */
  subarray(begin: number, end: number): Uint8Array;
}

/** All of it at once. */
export const whole = (bytes: Bytes): Uint8Array =>
  bytes instanceof Uint8Array ? bytes : bytes.subarray(0, bytes.length);
