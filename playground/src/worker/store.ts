import { refusal } from './refusal.ts';

/** Files by name. */
export type Files = ReadonlyMap<string, Uint8Array>;

const KEY = 'run';

/** Keeps files in the browser, in the place of those before. Rejects with what to do where it will not. */
export const keepFiles = (files: Files): Promise<void> =>
  request('readwrite', (store) => store.put(files, KEY)).then(() => undefined);

/** What was kept, if anything. */
export const keptFiles = (): Promise<Files | undefined> =>
  request('readonly', (store) => store.get(KEY)) as Promise<Files | undefined>;

async function request(
  mode: IDBTransactionMode,
  ask: (store: IDBObjectStore) => IDBRequest,
): Promise<unknown> {
  try {
    const database = await opened(indexedDB.open('xlstm-playground', 1));
    try {
      const transaction = database.transaction('runs', mode);
      const asked = ask(transaction.objectStore('runs'));
      await new Promise<void>((resolve, reject) => {
        transaction.oncomplete = () => resolve();
        transaction.onabort = () => reject(transaction.error);
      });
      return asked.result;
    } finally {
      database.close();
    }
  } catch (error) {
    const { name, message } = error as DOMException;
    const full = name === 'QuotaExceededError';
    throw refusal(
      full
        ? 'The storage of this browser is full: the run was not kept.'
        : `This browser keeps nothing for this page (${message}).`,
      'Save the run to a file instead: closing the tab would lose it.',
    );
  }
}

const opened = (opening: IDBOpenDBRequest): Promise<IDBDatabase> =>
  new Promise((resolve, reject) => {
    opening.onupgradeneeded = () => opening.result.createObjectStore('runs');
    opening.onsuccess = () => resolve(opening.result);
    opening.onerror = () => reject(opening.error);
  });
