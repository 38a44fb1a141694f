/** The file of a session, and which of its states it is. */
export interface StoredSession {
  /** What `Session.save` makes. */
  readonly bytes: Uint8Array;
  /** 1 for the first, one more each time that it is kept. */
  readonly version: number;
}

/** What became of a session that was to be kept: `changed`: not kept, since another state of it is there, or none any more. */
export type Kept = 'kept' | 'changed' | 'full';

/** How much a store holds. */
export interface StoreLimits {
  /** Sessions. */
  readonly most: number;
  /** A session that is not kept anew for so long is given up. */
  readonly seconds: number;
}

/** A week: people come back. */
export const DEFAULT_SESSIONS: StoreLimits = { most: 256, seconds: 7 * 24 * 3600 };

/** Where sessions are while nobody writes in them. */
export interface SessionStore {
  /** The session as it was kept last; undefined: there is none. */
  get(id: string): Promise<StoredSession | undefined>;
  /** Keeps a session in the place of the version that it was made of; 0: it is new. It is safe when the promise resolves. */
  put(id: string, bytes: Uint8Array, replaces: number): Promise<Kept>;
  /** False where there is no such session. */
  delete(id: string): Promise<boolean>;
  /** Lets go of what it holds on to. */
  close(): Promise<void>;
}
