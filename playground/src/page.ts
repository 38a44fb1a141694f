import { Client } from './client.ts';
import { button, h } from './dom.ts';

/** A view: what it shows, and what it does while it is there. */
export interface View {
  readonly element: HTMLElement;
  /** Called when the view comes to the front, and when it leaves. */
  shown?(): void;
  hidden?(): void;
}

/** Makes calls wait for each other: what was asked first is done first. */
export function inTurn(): <T>(work: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const mine = last.then(work, work);
    last = mine;
    return mine;
  };
}

const LONG = 1_000;

/** What all views share. */
export class Page {
  readonly client = new Client();
  readonly #notice: HTMLElement;

  readonly #lost: (() => void)[] = [];

  constructor(notice: HTMLElement) {
    this.#notice = notice;
    this.client.onLost = (failure) => {
      for (const listener of this.#lost) listener();
      if (failure) this.tell(failure);
    };
  }

  /** Calls `listener` when the worker, and with it what it held, is gone. */
  whenLost(listener: () => void): void {
    this.#lost.push(listener);
  }

  /** Says what went wrong, and what to do, until it is put away or something else is tried. */
  tell(failure: { readonly message: string; readonly hint?: string | undefined }): void {
    this.#notice.replaceChildren(
      h(
        'div',
        { class: 'notice' },
        h('p', {}, h('strong', {}, failure.message), failure.hint ? ` ${failure.hint}` : undefined),
        button('Put away', () => this.clear(), { class: 'quiet' }),
      ),
    );
  }

  clear(): void {
    this.#notice.replaceChildren();
  }

  /** Runs what may fail, and says so when it does. Resolves to undefined then. */
  async attempt<T>(work: () => Promise<T>): Promise<T | undefined> {
    try {
      this.clear();
      return await work();
    } catch (error) {
      this.tell(error as Error & { readonly hint?: string });
      return undefined;
    }
  }

  /** The same of what may take long and cannot be stopped by itself: a button ends it with the worker. */
  async attemptLong<T>(what: string, work: () => Promise<T>): Promise<T | undefined> {
    const told = h(
      'div',
      { class: 'notice working' },
      h('p', {}, `${what} …`),
      button('Stop', () => this.client.stop(), { class: 'quiet' }),
    );
    const timer = window.setTimeout(() => this.#notice.replaceChildren(told), LONG);
    const result = await this.attempt(work);
    window.clearTimeout(timer);
    told.remove();
    return result;
  }
}
