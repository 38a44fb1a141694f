import type { Kept, SessionStore, StoredSession, StoreLimits } from './session_store.ts';

interface Entry extends StoredSession {
  readonly keptMs: number;
}

/** Sessions that end with the process. */
export class MemoryStore implements SessionStore {
  readonly #limits: StoreLimits;
  readonly #now: () => number;
  /** Those that were kept last at the end. */
  readonly #entries = new Map<string, Entry>();

  /** `now`: milliseconds that only grow. */
  constructor(limits: StoreLimits, now: () => number = () => performance.now()) {
    this.#limits = limits;
    this.#now = now;
  }

  /** The session as it was kept last. */
  async get(id: string): Promise<StoredSession | undefined> {
    this.#expire();
    return this.#entries.get(id);
  }

  /** Keeps a session in the place of the version that it was made of. */
  async put(id: string, bytes: Uint8Array, replaces: number): Promise<Kept> {
    this.#expire();
    const before = this.#entries.get(id);
    if ((before?.version ?? 0) !== replaces) return 'changed';
    if (!before && this.#entries.size >= this.#limits.most) return 'full';
    this.#entries.delete(id);
    this.#entries.set(id, { bytes, version: replaces + 1, keptMs: this.#now() });
    return 'kept';
  }

  /** False where there is no such session. */
  async delete(id: string): Promise<boolean> {
    this.#expire();
    return this.#entries.delete(id);
  }

  /** Gives all up. */
  async close(): Promise<void> {
    this.#entries.clear();
  }

  #expire(): void {
    for (const [id, { keptMs }] of this.#entries) {
      if (this.#now() - keptMs <= 1000 * this.#limits.seconds) return;
      this.#entries.delete(id);
    }
  }
}
