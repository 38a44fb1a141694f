import { parseSafetensors } from '../../checkpoints/safetensors.ts';
import { encodeChat } from '../../data/subword/chat.ts';
import { XlstmError } from '../../errors.ts';
import {
  type ConversationNote,
  conversationNote,
  parseConversationNote,
  startsWith,
} from '../../generation/conversation_note.ts';
import { promptTokens } from '../../generation/prompt.ts';
import type { SequenceState } from '../../generation/session_file.ts';
import type { SessionStore, StoredSession } from '../sessions/session_store.ts';
import type { Written } from '../slot.ts';
import { Failure } from './failure.ts';
import { find, type ServedModel } from './served_model.ts';

/** The name under which a session's file holds that of its model. */
const MODEL = 'served_as';
/** Ids are made by the server; others are none. */
const ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
/** Of what was said in a conversation, as JSON. */
const MOST_NOTE_BYTES = 4 * 2 ** 20;

/** What a session is to its clients. */
export interface SessionObject {
  readonly id: string;
  readonly object: 'session';
  readonly model: string;
  /** Tokens that it has read. */
  readonly tokens: number;
  /** Of its file. */
  readonly bytes: number;
  /** What was said, where it is a conversation. */
  readonly messages?: ConversationNote['messages'];
}

/** How a text goes on in a session: what is to be read, and what is asked of the batcher. */
export interface Continuation {
  readonly model: ServedModel;
  readonly tokens: ArrayLike<number>;
  /** Tokens before them, that are not read again. */
  readonly known: number;
  readonly from: SequenceState | undefined;
  readonly keep: (written: Written) => Promise<void>;
  /** The session takes no other text until this is called. */
  readonly onEnd: () => void;
}

interface Opened {
  readonly stored: StoredSession;
  readonly model: ServedModel;
  readonly state: SequenceState;
  readonly note: ConversationNote | undefined;
}

/** The sessions of a server: in the store, but while a text is written in them. */
export class ServedSessions {
  readonly #models: readonly ServedModel[];
  readonly #store: SessionStore;
  readonly #busy = new Set<string>();

  constructor(models: readonly ServedModel[], store: SessionStore) {
    this.#models = models;
    this.#store = store;
  }

  /** Sessions in which a text is written at the moment. */
  get busy(): number {
    return this.#busy.size;
  }

  /** One that has read nothing. */
  async create(model: ServedModel): Promise<SessionObject> {
    return this.#add(await model.batcher.files.encode(model.batcher.files.empty(), { [MODEL]: model.name }));
  }

  /** One of a file that `export` gave, or `Session.save` of the same model. Throws a Failure for any other. */
  async import(model: ServedModel, bytes: Uint8Array): Promise<SessionObject> {
    try {
      const state = await model.batcher.files.decode(bytes, 'the session');
      const note = parseConversationNote(
        parseSafetensors(bytes, 'the session').metadata,
        state.tokensSeen,
        'the session',
      );
      return this.#add(await model.batcher.files.encode(state, this.#notes(model, note)));
    } catch (error) {
      if (error instanceof XlstmError && error.code === 'checkpoint') throw new Failure(400, error.message);
      throw error;
    }
  }

  async describe(id: string): Promise<SessionObject> {
    return described(id, (await this.#stored(id)).bytes);
  }

  async export(id: string): Promise<Uint8Array> {
    return (await this.#stored(id)).bytes;
  }

  async fork(id: string): Promise<SessionObject> {
    return this.#add((await this.#stored(id)).bytes);
  }

  async delete(id: string): Promise<void> {
    if (!ID.test(id) || !(await reached(this.#store.delete(id)))) throw unknown();
  }

  /** Goes on with a text, or with tokens as they are; undefined: with what the model writes next. */
  continueText(
    id: string,
    model: string | undefined,
    prompt: string | readonly number[] | undefined,
  ): Promise<Continuation> {
    return this.#continue(id, model, async ({ model, state, note }) => {
      if (note) throw new Failure(409, 'the session is a conversation: it goes on with chat/completions');
      const begins = state.tokensSeen === 0;
      const given = prompt ?? (begins ? '' : []);
      const tokens = typeof given === 'string' ? promptTokens(model.tokenizer, given, begins) : given;
      return { tokens, from: state, known: 0, note: () => undefined };
    });
  }

  /** Goes on with messages that were not said yet. */
  continueChat(
    id: string,
    model: string | undefined,
    messages: ConversationNote['messages'],
  ): Promise<Continuation> {
    return this.#continue(id, model, async ({ model, state, note }) => {
      if (!note && state.tokensSeen > 0)
        throw new Failure(409, 'the session is no conversation: it goes on with completions');
      const said = [...(note?.messages ?? []), ...messages];
      const all = await encodeChat(model.tokenizer, said);
      const read = note?.tokens ?? [];
      // A template that writes what was said otherwise now has all read again.
      const known = startsWith(all, read) ? read.length : 0;
      return {
        tokens: all.slice(known),
        known,
        from: known > 0 ? state : undefined,
        note: ({ ids, text }) => ({
          messages: [...said, { role: 'assistant', content: text }],
          tokens: [...all, ...ids],
        }),
      };
    });
  }

  async #continue(
    id: string,
    name: string | undefined,
    how: (session: Opened) => Promise<{
      readonly tokens: ArrayLike<number>;
      readonly known: number;
      readonly from: SequenceState | undefined;
      readonly note: (written: Written) => ConversationNote | undefined;
    }>,
  ): Promise<Continuation> {
    if (this.#busy.has(id)) throw new Failure(409, 'another text is being written in the session');
    this.#busy.add(id);
    let held = true;
    const release = (): void => {
      if (held) this.#busy.delete(id);
      held = false;
    };
    try {
      const opened = await this.#open(id);
      const { model, stored } = opened;
      if (name !== undefined && name !== model.name)
        throw new Failure(400, `the session is one of the model ${model.name}`, { param: 'model' });
      const { tokens, known, from, note } = await how(opened);
      return {
        model,
        tokens,
        known,
        from,
        keep: async (written) => {
          const notes = this.#notes(model, note(written));
          const bytes = await model.batcher.files.encode(written.state, notes);
          const kept = await reached(this.#store.put(id, bytes, stored.version));
          if (kept !== 'kept') throw new Failure(409, 'the session was changed or deleted meanwhile');
        },
        onEnd: release,
      };
    } catch (error) {
      release();
      throw error;
    }
  }

  async #add(bytes: Uint8Array): Promise<SessionObject> {
    const id = crypto.randomUUID();
    if ((await reached(this.#store.put(id, bytes, 0))) === 'full') {
      throw new Failure(429, 'there are as many sessions as may be: delete one', {
        type: 'rate_limit_error',
        code: 'sessions_full',
      });
    }
    return described(id, bytes);
  }

  async #stored(id: string): Promise<StoredSession> {
    const stored = ID.test(id) ? await reached(this.#store.get(id)) : undefined;
    if (!stored) throw unknown();
    return stored;
  }

  async #open(id: string): Promise<Opened> {
    const stored = await this.#stored(id);
    const { metadata } = parseSafetensors(stored.bytes, id);
    const model = find(this.#models, metadata[MODEL] ?? '');
    const state = await model.batcher.files.decode(stored.bytes, id);
    return { stored, model, state, note: parseConversationNote(metadata, state.tokensSeen, id) };
  }

  #notes(model: ServedModel, note: ConversationNote | undefined): Record<string, string> {
    const notes = { ...(note ? conversationNote(note) : {}), [MODEL]: model.name };
    if (JSON.stringify(notes).length > MOST_NOTE_BYTES)
      throw new Failure(400, 'the conversation is as long as one may be: begin another');
    return notes;
  }
}

function described(id: string, bytes: Uint8Array): SessionObject {
  const { metadata } = parseSafetensors(bytes, id);
  const tokens = Number(metadata.tokens_seen);
  const note = parseConversationNote(metadata, tokens, id);
  return {
    id,
    object: 'session',
    model: metadata[MODEL],
    tokens,
    bytes: bytes.length,
    ...(note ? { messages: note.messages } : {}),
  };
}

async function reached<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (cause) {
    throw new Failure(503, 'the store of the sessions does not answer: try again later', { cause });
  }
}

const unknown = (): Failure => new Failure(404, 'there is no such session', { code: 'session_not_found' });
