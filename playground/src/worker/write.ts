import { inspect, readDesign, type Session } from 'xlstm';
import { tell } from './port.ts';
import { refusal } from './refusal.ts';
import { anyRun, currentRun, isOwn, whenReplaced } from './train.ts';

/** What the page may ask about writing. */
export interface WriteCalls {
  /** Reads a prompt from scratch: there is one branch then. */
  beginText(prompt: string): Promise<WriteFacts>;
  /** Writes on in a branch; pieces come as events `written`. Resolves at the end, or when it is told to stop. */
  writeOn(order: WriteOrder): Promise<WriteFacts>;
  stopWriting(argument: undefined): Promise<void>;
  /** Makes a second branch that has read the same as the first. */
  forkText(argument: undefined): Promise<WriteFacts>;
}

export interface WriteOrder {
  readonly branch: number;
  readonly tokens: number;
  readonly temperature: number;
}

export interface WriteFacts {
  /** Tokens read, of each branch. */
  readonly tokens: readonly number[];
  /** Of a branch. */
  readonly stateBytes: number;
  /** What a Transformer of the same width and depth would keep for the tokens of the first branch. */
  readonly cacheBytes: number;
  /** Whether the model is a person's own, not the one that comes with the page. */
  readonly own: boolean;
  readonly microsecondsPerToken: number | undefined;
}

let branches: Session[] = [];
let ending = new AbortController();
let writing: Promise<unknown> = Promise.resolve();
let pace: number | undefined;

async function closeBranches(): Promise<void> {
  ending.abort();
  await writing.catch(() => undefined);
  for (const branch of branches) branch.free();
  branches = [];
}
whenReplaced(closeBranches);

export const writeCalls: WriteCalls = {
  async beginText(prompt) {
    const { model } = await anyRun();
    await closeBranches();
    if (prompt === '') throw refusal('There is no text to go on from.', 'Write a few words.');
    const session = model.session();
    branches = [session];
    await session.append(prompt);
    return facts();
  },
  async writeOn({ branch, tokens, temperature }) {
    const session = branches[branch];
    ending = new AbortController();
    const { signal } = ending;
    const seed = crypto.getRandomValues(new Uint16Array(1))[0];
    const work = (async () => {
      const [began, before] = [performance.now(), session.tokensSeen];
      for await (const piece of session.generate({ maxTokens: tokens, temperature, seed })) {
        tell('written', { branch, piece });
        if (signal.aborted) break;
      }
      pace = ((performance.now() - began) * 1000) / Math.max(1, session.tokensSeen - before);
    })();
    writing = work;
    await work;
    return facts();
  },
  async stopWriting() {
    ending.abort();
  },
  async forkText() {
    const [first, ...others] = branches;
    if (!first) throw refusal('There is nothing to fork yet.', 'Let it write first.');
    for (const other of others) other.free();
    branches = [first, await first.fork()];
    return facts();
  },
};

function facts(): WriteFacts {
  const tokens = branches.map((branch) => branch.tokensSeen);
  return {
    tokens,
    stateBytes: branches[0].stateBytes,
    cacheBytes: cacheBytes(tokens[0]),
    own: isOwn(),
    microsecondsPerToken: pace,
  };
}

/** By the library's own Transformer, of which the state is the cache. */
function cacheBytes(tokens: number): number {
  const { model } = currentRun().model;
  const { embeddingDim = 64, numBlocks = 2 } = (model.design?.config ?? {}) as {
    readonly embeddingDim?: number;
    readonly numBlocks?: number;
  };
  const { vocabSize } = model.network;
  const config = {
    architecture: 'transformer',
    vocabSize,
    embeddingDim,
    numBlocks,
    numHeads: 1,
    contextLength: tokens,
  };
  return inspect(readDesign(config, 'a Transformer'), 1).stateBytes;
}
