/** A message of Protocol Buffers that is written field by field; nested ones are not copied until `toBytes`. */
export class Message {
  readonly #chunks: Uint8Array[] = [];
  #bytes = 0;

  get bytes(): number {
    return this.#bytes;
  }

  /** int32, int64 or enum. */
  int(field: number, value: number): this {
    return this.#push(Uint8Array.from([...varint(field << 3), ...varint(value)]));
  }

  float(field: number, value: number): this {
    const number = new Uint8Array(4);
    new DataView(number.buffer).setFloat32(0, value, true);
    return this.#push(Uint8Array.from([...varint((field << 3) | FIXED32), ...number]));
  }

  double(field: number, value: number): this {
    const number = new Uint8Array(8);
    new DataView(number.buffer).setFloat64(0, value, true);
    return this.#push(Uint8Array.from([...varint((field << 3) | FIXED64), ...number]));
  }

  text(field: number, value: string): this {
    return this.data(field, new TextEncoder().encode(value));
  }

  data(field: number, value: Uint8Array): this {
    return this.#head(field, value.length).#push(value);
  }

  message(field: number, value: Message): this {
    this.#head(field, value.#bytes);
    for (const chunk of value.#chunks) this.#push(chunk);
    return this;
  }

  toBytes(): Uint8Array<ArrayBuffer> {
    const all = new Uint8Array(this.#bytes);
    let at = 0;
    for (const chunk of this.#chunks) {
      all.set(chunk, at);
      at += chunk.length;
    }
    return all;
  }

  #head(field: number, length: number): this {
    return this.#push(Uint8Array.from([...varint((field << 3) | LENGTH_DELIMITED), ...varint(length)]));
  }

  #push(chunk: Uint8Array): this {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    return this;
  }
}

const FIXED64 = 1;
const LENGTH_DELIMITED = 2;
const FIXED32 = 5;

/** Seven bits a byte, the lowest first; a negative number as its 64 bits of two's complement. */
function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  do {
    const low = Number(rest & 0x7fn);
    rest >>= 7n;
    bytes.push(rest > 0n ? low | 0x80 : low);
  } while (rest > 0n);
  return bytes;
}
