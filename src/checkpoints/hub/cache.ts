import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { XlstmError } from '../../errors.ts';
import { quote } from '../../quote.ts';
import { hubCache } from './environment.ts';

/** A model on a hub: its owner's name and its own, and a branch, tag or commit. */
export interface HubName {
  readonly name: string;
  readonly revision: string;
}

const PART = String.raw`[A-Za-z0-9_][\w.-]{0,95}`;
const NAME = new RegExp(`^(${PART}/${PART})(?:@([A-Za-z0-9_][\\w./-]{0,127}))?$`);

/** `NX-AI/xLSTM-7b`, or `NX-AI/xLSTM-7b@main`; undefined for what is no such name. */
export function parseHubName(text: string): HubName | undefined {
  const [, name, revision = 'main'] = NAME.exec(text) ?? [];
  return name === undefined || text.includes('..') ? undefined : { name, revision };
}

/** Throws a usage error for what is no name. */
export function requireHubName(text: string): HubName {
  const found = parseHubName(text);
  if (found) return found;
  throw new XlstmError(
    'usage',
    `expected the name of a model on a hub, found ${quote(text)}`,
    'As NX-AI/xLSTM-7b, or with a branch, tag or commit behind it: NX-AI/xLSTM-7b@main',
  );
}

/** The folder that Hugging Face's programs keep a model in: `blobs` by digest, `snapshots` by commit, `refs` by branch. */
export const modelFolder = (cache: string, { name }: HubName): string =>
  join(cache, `models--${name.replace('/', '--')}`);

/** The folder of a commit of a model. */
export const snapshotFolder = (folder: string, commit: string): string => join(folder, 'snapshots', commit);

/** A commit as the hub names it. */
export const COMMIT = /^[0-9a-f]{40}$/;

/** The folder of a model that was downloaded before; undefined where it was not. Asks no hub. */
export async function cachedModel(model: HubName, cache = hubCache()): Promise<string | undefined> {
  const folder = modelFolder(cache, model);
  const { revision } = model;
  const commit = COMMIT.test(revision)
    ? revision
    : (await readFile(join(folder, 'refs', revision), 'utf8').catch(() => '')).trim();
  if (!COMMIT.test(commit)) return undefined;
  const snapshot = snapshotFolder(folder, commit);
  return (await stat(snapshot).catch(() => undefined))?.isDirectory() ? snapshot : undefined;
}
