import type { Document, PlacedDocument, Position } from '../../data/text_pieces.ts';

/** Where reading stands: so many pieces of a source were read, and all of those before it. */
export interface Place {
  readonly source: number;
  readonly pieces: number;
  /** Where the next piece begins, if reading can begin there. */
  readonly next?: Position | undefined;
}

/** Texts that are encoded at once. */
export interface Part {
  readonly documents: readonly Document[];
  /** Where reading stands after them. */
  readonly after: Place;
  /** Bytes of all sources that were read by then. */
  readonly bytesRead: number;
}

/** Texts that can be read from their beginning again and again. */
export interface PartSource {
  /** Undefined of what ends when it ends. */
  readonly bytes: number | undefined;
  /** `from`: a place that one of its texts had as `next`. */
  read(onBytes: (bytes: number) => void, from?: Position): AsyncIterable<PlacedDocument>;
}

const start: Place = { source: 0, pieces: 0 };

/** UTF-16 units of a part, but for its last document: enough that handing it over costs little. */
const PART_UNITS = 2 ** 20;

/** Reads sources in parts, from a place on. In a source that cannot begin there what lies before it is read, and left out. */
export class PartReader {
  /** Of all sources; undefined where one does not say. */
  readonly totalBytes: number | undefined;
  /** Bytes that lie before the first part. */
  bytesBefore: number;
  readonly #sources: readonly PartSource[];
  readonly #from: Place;
  readonly #partUnits: number;
  #bytesRead: number;

  constructor(sources: readonly PartSource[], from: Place, partUnits = PART_UNITS) {
    const sum = (some: readonly PartSource[]): number =>
      some.reduce((total, { bytes }) => total + (bytes ?? Number.NaN), 0);
    const total = sum(sources);
    this.totalBytes = Number.isNaN(total) ? undefined : total;
    this.#sources = sources;
    this.#from = from;
    this.#partUnits = partUnits;
    this.#bytesRead = sum(sources.slice(0, from.source)) + (from.next?.byte ?? 0);
    this.bytesBefore = this.#bytesRead;
  }

  async *parts(): AsyncGenerator<Part> {
    const sources = this.#sources;
    const onBytes = (bytes: number): void => {
      this.#bytesRead += bytes;
    };
    let documents: Document[] = [];
    let units = 0;
    for (let source = this.#from.source; source < sources.length; source++) {
      const { pieces: known, next: from } = source === this.#from.source ? this.#from : start;
      let pieces = from ? known : 0;
      for await (const { next, ...document } of sources[source].read(onBytes, from)) {
        pieces++;
        if (pieces === known) this.bytesBefore = this.#bytesRead;
        if (pieces <= known) continue;
        documents.push(document);
        units += document.text.length;
        if (units < this.#partUnits) continue;
        yield { documents, after: { source, pieces, next }, bytesRead: this.#bytesRead };
        documents = [];
        units = 0;
      }
    }
    const after = { source: sources.length, pieces: 0 };
    if (documents.length > 0) yield { documents, after, bytesRead: this.#bytesRead };
  }
}
