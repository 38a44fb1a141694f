import type { Bytes } from './bytes.ts';

/** The content of config.json, as parsed, or of the file that has its place. */
export interface FoundConfig {
  readonly json: unknown;
  /** The file's name, without the folder. */
  readonly name: string;
}

/** The files of a model, wherever they lie. */
export interface ModelFiles {
  /** Goes before the names of files in errors: 'runs/moby/', 'https://example.org/moby/', or nothing. */
  readonly place: string;
  readonly names: readonly string[];
  /** Throws a checkpoint error that names the file where there is none. */
  read(name: string): Promise<Uint8Array>;
  /** The same for a file that may be large. Left out: `read`. */
  open?(name: string): Promise<Bytes>;
  /** What a file in the place of config.json says. Left out: there is a config.json. */
  readConfig?(): Promise<FoundConfig>;
}
