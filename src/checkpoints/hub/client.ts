import { setTimeout as sleep } from 'node:timers/promises';
import { XlstmError } from '../../errors.ts';
import { parseJson } from '../../json.ts';
import { oneLine, quote } from '../../quote.ts';
import { COMMIT, type HubName } from './cache.ts';
import type { HubEnvironment } from './environment.ts';

/** A file of a model on a hub. */
export interface HubFile {
  readonly path: string;
  readonly bytes: number;
  /** SHA-256 of the content of large files, of others SHA-1 as git counts it. */
  readonly digest: { readonly kind: 'sha256' | 'git'; readonly hex: string };
}

/** Under which terms a model is given, as its page says. */
export interface HubLicence {
  /** Its short name, such as apache-2.0. Undefined: the page names none. */
  readonly name: string | undefined;
  /** Where its text is. Undefined: the page does not say. */
  readonly link: string | undefined;
}

/** What a hub has of a model at a revision. */
export interface HubListing {
  readonly licence: HubLicence;
  readonly commit: string;
  readonly files: readonly HubFile[];
}

/** How often in a row something is tried that gets nowhere. */
export const ATTEMPTS = 5;

/** Waiting before the first repeat, twice as long before each further one. */
const FIRST_WAIT_MS = 500;
/** A hub may ask for longer. */
const LONGEST_WAIT_MS = 60_000;

/** The files of a model of tens of shards, with all that a hub says of them. */
const LISTING_LIMITS = { bytes: 2 ** 24, depth: 12 };

/** Asks one hub. Every request is repeated after a server's error, a broken connection or HTTP 429. */
export class HubClient {
  readonly #environment: HubEnvironment;
  readonly #firstWaitMs: number;
  readonly #signal: AbortSignal | undefined;

  constructor(environment: HubEnvironment, signal?: AbortSignal, firstWaitMs = FIRST_WAIT_MS) {
    this.#environment = environment;
    this.#signal = signal;
    this.#firstWaitMs = firstWaitMs;
  }

  /** Throws a checkpoint error where the hub has no such model, does not give it, or says what is none. */
  async list(model: HubName): Promise<HubListing> {
    const { name, revision } = model;
    const url = `${this.#environment.endpoint}/api/models/${name}/revision/${encodeURIComponent(revision)}?blobs=true`;
    const response = await this.get(url, model);
    const bytes = new Uint8Array(await response.arrayBuffer());
    return listingIn(parseJson(bytes, url, 'checkpoint', LISTING_LIMITS), url);
  }

  /** The content of a file from a byte on. */
  content({ name, ...model }: HubName, commit: string, path: string, from: number): Promise<Response> {
    const url = `${this.#environment.endpoint}/${name}/resolve/${commit}/${encodeURIComponent(path)}`;
    return this.get(url, { name, ...model }, from > 0 ? { Range: `bytes=${from}-` } : {});
  }

  async get(url: string, model: HubName, headers: Readonly<Record<string, string>> = {}): Promise<Response> {
    const { token } = this.#environment;
    const authorization: Record<string, string> = token ? { Authorization: `Bearer ${token}` } : {};
    for (let attempt = 1; ; attempt++) {
      let problem: string;
      let asked: number | undefined;
      try {
        const response = await fetch(url, {
          headers: { ...authorization, ...headers },
          signal: this.#signal ?? null,
        });
        if (response.ok) return response;
        await response.body?.cancel();
        if (response.status !== 429 && response.status < 500) throw refusal(response, url, model, token);
        problem = `HTTP ${response.status}`;
        asked = 1000 * Number(response.headers.get('retry-after') ?? Number.NaN);
      } catch (error) {
        if (error instanceof XlstmError || this.#signal?.aborted) throw error;
        problem = reasonOf(error);
      }
      if (attempt === ATTEMPTS) {
        throw new XlstmError(
          'checkpoint',
          `${url}: no answer after ${ATTEMPTS} attempts (${problem})`,
          problem === 'HTTP 429'
            ? 'The hub has had too many requests from here: try again later, or with a token (HF_TOKEN).'
            : 'Check the connection and HF_ENDPOINT; what was downloaded before is used with HF_HUB_OFFLINE=1.',
        );
      }
      await this.wait(attempt, asked);
    }
  }

  /** Before attempt `attempt` + 1; as long as the hub asked for, if it did. */
  async wait(attempt: number, askedMs = Number.NaN): Promise<void> {
    const ms = Number.isFinite(askedMs) ? askedMs : this.#firstWaitMs * 2 ** (attempt - 1);
    await sleep(
      Math.min(ms, LONGEST_WAIT_MS),
      undefined,
      this.#signal ? { signal: this.#signal } : undefined,
    );
  }
}

function refusal(
  { status }: Response,
  url: string,
  { name, revision }: HubName,
  token: string | undefined,
): XlstmError {
  if (status === 401 || status === 403) {
    return new XlstmError(
      'checkpoint',
      `${url}: the hub does not give ${name} to ${token ? 'the owner of this token' : 'people without a token'} (HTTP ${status})`,
      `${token ? 'Ask for access on the page of the model, or give another token' : 'Give a token'} with HF_TOKEN; a name that does not exist is refused like this too.`,
    );
  }
  if (status === 404) {
    return new XlstmError(
      'checkpoint',
      `${url}: the hub has no ${name} at ${revision} (HTTP 404)`,
      'Check the name and the revision.',
    );
  }
  return new XlstmError('checkpoint', `${url}: the hub refused (HTTP ${status})`);
}

function listingIn(json: unknown, source: string): HubListing {
  const fail = (key: string, expected: string, found: unknown): never => {
    throw new XlstmError(
      'checkpoint',
      `${source}: ${key}: expected ${expected}, found ${quote(found)}`,
      'Is HF_ENDPOINT a hub?',
    );
  };
  const { sha, siblings, cardData } = (json ?? {}) as Readonly<Record<string, unknown>>;
  if (typeof sha !== 'string' || !COMMIT.test(sha)) return fail('sha', 'a commit', sha);
  if (!Array.isArray(siblings)) return fail('siblings', 'a list of files', siblings);
  const files = siblings.map((entry: unknown, i): HubFile => {
    const { rfilename: path, size, blobId, lfs } = (entry ?? {}) as Record<string, unknown>;
    if (typeof path !== 'string') return fail(`siblings[${i}].rfilename`, 'a name', path);
    const large = (lfs ?? undefined) as { sha256?: unknown; size?: unknown } | undefined;
    const bytes = large?.size ?? size;
    if (typeof bytes !== 'number' || !Number.isSafeInteger(bytes) || bytes < 0)
      return fail(`siblings[${i}].size`, 'a number of bytes', bytes);
    const hex = large ? large.sha256 : blobId;
    const length = large ? 64 : 40;
    if (typeof hex !== 'string' || !new RegExp(`^[0-9a-f]{${length}}$`).test(hex))
      return fail(`siblings[${i}].${large ? 'lfs.sha256' : 'blobId'}`, `${length} hexadecimal digits`, hex);
    return { path, bytes, digest: { kind: large ? 'sha256' : 'git', hex } };
  });
  return { commit: sha, files, licence: licenceIn(cardData) };
}

/** What the head of the model's page says. */
function licenceIn(card: unknown): HubLicence {
  const {
    license,
    license_name: own,
    license_link: link,
  } = (card ?? {}) as Readonly<Record<string, unknown>>;
  const text = (value: unknown): string | undefined =>
    typeof value === 'string' && value !== '' ? oneLine(value, 200) : undefined;
  return { name: (license === 'other' && text(own)) || text(license), link: text(link) };
}

/** Node says what happened in the cause. */
export const reasonOf = (error: unknown): string => {
  const { message, cause } = error as Error;
  return cause instanceof Error ? `${message}: ${cause.message}` : message;
};
