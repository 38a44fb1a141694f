import type { Bytes } from './bytes.ts';

/** The files of a model, wherever they lie. */
export interface ModelFiles {
  /** Goes before the names of files in errors: 'runs/moby/', 'https://example.org/moby/', or nothing. */
  readonly place: string;
  readonly names: readonly string[];
  /** Throws a checkpoint error that names the file where there is none. */
  read(name: string): Promise<Uint8Array>;
  /** The same for a file that may be large. Left out: `read`. */
  open?(name: string): Promise<Bytes>;
}
