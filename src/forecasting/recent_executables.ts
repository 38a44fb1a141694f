import type { Executable } from '../compute/engines/engine.ts';

const KEPT = 16;

/** Executables by what they were bound for; others take the place of those that were not used for the longest time. */
export class RecentExecutables {
  readonly #kept = new Map<string, Executable>();

  /** The one of this key, bound where it is not there. */
  use(key: string, bind: () => Executable): Executable {
    const executable = this.#kept.get(key) ?? bind();
    this.#kept.delete(key);
    this.#kept.set(key, executable);
    if (this.#kept.size > KEPT) {
      const [oldest] = this.#kept.keys();
      this.#kept.get(oldest)?.free();
      this.#kept.delete(oldest);
    }
    return executable;
  }

  free(): void {
    for (const executable of this.#kept.values()) executable.free();
    this.#kept.clear();
  }
}
