import { ADAPTER_FILES } from '../checkpoints/adapter_files.ts';
import { limitsOf } from '../checkpoints/checkpoint.ts';
import type { ModelFiles } from '../checkpoints/model_source.ts';
import { INDEX, parseIndex } from '../checkpoints/weight_files.ts';
import { subwordFiles } from '../data/subword/subword_tokenizer.ts';
import { TOKENIZER_FILES } from '../data/tokenizer_files.ts';
import { XlstmError } from '../errors.ts';
import { parseJson } from '../json.ts';
import { quote } from '../quote.ts';

const FOLDER_HINT =
  'The address is that of a folder with config.json and model.safetensors, as saveModel writes it.';

/** The files of a model at an address, fetched as they are read. Relative ones are taken from that of the page. */
export async function fetchedFiles(address: string | URL): Promise<ModelFiles> {
  const folder = folderAt(address);
  const urlOf = (name: string): URL => fileAt(folder, name);
  const [config, tokenizer] = await Promise.all([
    fetchFile(urlOf('config.json')),
    fetchFileIfThere(urlOf('tokenizer.json')),
  ]);
  const fetched = new Map([['config.json', config]]);
  const place = new URL('./', folder).href;
  if (tokenizer) {
    fetched.set('tokenizer.json', tokenizer);
    const source = `${place}tokenizer.json`;
    const json = parseJson(tokenizer, source, 'checkpoint', limitsOf('tokenizer.json'));
    // Others have no further files, which would only be asked for in vain.
    if (subwordFiles(json)) {
      for (const name of TOKENIZER_FILES.slice(1)) {
        const file = await fetchFileIfThere(urlOf(name));
        if (file) fetched.set(name, file);
      }
    }
  }
  const single = await fetchFileIfThere(urlOf('model.safetensors'));
  if (single) fetched.set('model.safetensors', single);
  const index = single ? undefined : await fetchFileIfThere(urlOf(INDEX));
  if (index) fetched.set(INDEX, index);
  const weights = index ? new Set(parseIndex(index, `${place}${INDEX}`).values()) : ['model.safetensors'];
  return {
    place,
    names: [...fetched.keys(), ...weights],
    read: async (name) => fetched.get(name) ?? fetchFile(urlOf(name)),
  };
}

/** The files of an adapter at an address, as `fetchedFiles` has those of a model. */
export function fetchedAdapterFiles(address: string | URL): ModelFiles {
  const folder = folderAt(address);
  return {
    place: new URL('./', folder).href,
    names: ADAPTER_FILES,
    read: (name) => fetchFile(fileAt(folder, name)),
  };
}

function fileAt(folder: URL, name: string): URL {
  const url = new URL(name, folder);
  url.search = folder.search;
  return url;
}

/** With a slash at its end: names of files are relative to it. */
function folderAt(address: string | URL): URL {
  const base = globalThis.document?.baseURI ?? globalThis.location?.href;
  let url: URL;
  try {
    url = new URL(address, base);
  } catch {
    throw new XlstmError(
      'usage',
      `loadModel: expected an address, found ${quote(address)}`,
      'Folders are read in Node, where the package "xlstm" resolves under the condition "node".',
    );
  }
  url.hash = '';
  if (!url.pathname.endsWith('/')) url.pathname += '/';
  return url;
}

async function fetchFile(url: URL): Promise<Uint8Array> {
  const response = await ask(url);
  if (response.ok && !isPage(response)) return content(response, url);
  if (response.ok) {
    await response.body?.cancel();
    throw new XlstmError('checkpoint', `${url}: expected a model's file, found a page (HTML)`, FOLDER_HINT);
  }
  throw await refusal(response, url);
}

/** Undefined where there is none: servers of applications give a page for what they do not know. */
async function fetchFileIfThere(url: URL): Promise<Uint8Array | undefined> {
  const response = await ask(url);
  const missing = response.status === 404 || response.status === 410 || (response.ok && isPage(response));
  if (missing) {
    await response.body?.cancel();
    return undefined;
  }
  if (response.ok) return content(response, url);
  throw await refusal(response, url);
}

async function ask(url: URL): Promise<Response> {
  try {
    return await fetch(url);
  } catch (error) {
    throw new XlstmError(
      'checkpoint',
      `${url}: cannot be fetched (${reason(error)})`,
      'Check the address, and whether its server lets this page read from it (CORS).',
    );
  }
}

async function content(response: Response, url: URL): Promise<Uint8Array> {
  try {
    return new Uint8Array(await response.arrayBuffer());
  } catch (error) {
    throw new XlstmError(
      'checkpoint',
      `${url}: the connection ended before the file (${reason(error)})`,
      'Try again.',
    );
  }
}

async function refusal(response: Response, url: URL): Promise<XlstmError> {
  const { status, statusText } = response;
  await response.body?.cancel();
  const found = `HTTP ${status}${statusText ? ` ${statusText}` : ''}`;
  return status === 404 || status === 410
    ? new XlstmError('checkpoint', `${url}: there is no such file (${found})`, FOLDER_HINT)
    : new XlstmError('checkpoint', `${url}: the server does not give the file (${found})`);
}

const isPage = ({ headers }: Response): boolean =>
  headers.get('content-type')?.startsWith('text/html') ?? false;

/** Node says what happened in the cause. */
const reason = (error: unknown): string => {
  const { message, cause } = error as Error;
  return cause instanceof Error ? `${message}: ${cause.message}` : message;
};
