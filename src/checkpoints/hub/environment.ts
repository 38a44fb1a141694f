import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { XlstmError } from '../../errors.ts';
import { quote } from '../../quote.ts';

/** A hub and the folder that its models are kept in, as the variables of Hugging Face's own programs say. */
export interface HubEnvironment {
  /** HF_ENDPOINT. Default: https://huggingface.co. */
  readonly endpoint: string;
  /** HF_HUB_CACHE; or `hub` in HF_HOME, which is by default `huggingface` in XDG_CACHE_HOME or ~/.cache. */
  readonly cache: string;
  /** HF_TOKEN, or else the content of HF_TOKEN_PATH, by default `token` in HF_HOME. Undefined: none. */
  readonly token: string | undefined;
  /** HF_HUB_OFFLINE: 1, on, yes or true. */
  readonly offline: boolean;
}

type Variables = Readonly<Record<string, string | undefined>>;

const DEFAULT_ENDPOINT = 'https://huggingface.co';

/** The folder of models. */
export function hubCache(env: Variables = process.env): string {
  return env.HF_HUB_CACHE || join(home(env), 'hub');
}

const home = (env: Variables): string =>
  env.HF_HOME || join(env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'huggingface');

/** What the variables of this process, or others, say. Throws a usage error for an endpoint that is no address. */
export async function hubEnvironment(
  env: Readonly<Record<string, string | undefined>> = process.env,
): Promise<HubEnvironment> {
  const endpoint = (env.HF_ENDPOINT || DEFAULT_ENDPOINT).replace(/\/+$/, '');
  if (!/^https?:$/.test(URL.canParse(endpoint) ? new URL(endpoint).protocol : '')) {
    throw new XlstmError(
      'usage',
      `HF_ENDPOINT: expected an address that begins with https:// or http://, found ${quote(endpoint)}`,
    );
  }
  return {
    endpoint,
    cache: hubCache(env),
    token: env.HF_TOKEN?.trim() || (await tokenIn(env.HF_TOKEN_PATH || join(home(env), 'token'))),
    offline: /^(1|on|yes|true)$/i.test(env.HF_HUB_OFFLINE ?? ''),
  };
}

async function tokenIn(path: string): Promise<string | undefined> {
  try {
    return (await readFile(path, 'utf8')).trim() || undefined;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new XlstmError('usage', `${path}: the token cannot be read (${(error as Error).message})`);
  }
}
