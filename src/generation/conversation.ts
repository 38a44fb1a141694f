import { parseSafetensors } from '../checkpoints/safetensors.ts';
import { checkOption } from '../checks.ts';
import { type ChatMessage, encodeChat, hasChatTemplate } from '../data/subword/chat.ts';
import type { Tokenizer } from '../data/tokenizer.ts';
import { XlstmError } from '../errors.ts';
import type { Model } from '../nn/model.ts';
import { conversationNote, parseConversationNote, startsWith } from './conversation_note.ts';
import { PrefixCache } from './prefix_cache.ts';
import { promptTokens } from './prompt.ts';
import type { SamplingOptions } from './sampling.ts';
import { Session } from './session.ts';
import type { FinishReason } from './writing.ts';

/** How an answer is written. */
export interface AnswerOptions extends SamplingOptions {
  /** Ends an answer after so many tokens. Default: goes on until the model ends it. */
  readonly maxTokens?: number;
  /** When it aborts, the iterator throws its reason; what was written so far stays part of the conversation. */
  readonly signal?: AbortSignal;
}

/** The end of an answer. */
interface Moment {
  readonly messages: number;
  readonly tokens: readonly number[];
}

/** States of earlier moments that a conversation keeps, so that going back reads nothing again. */
const MOST_BYTES = 256 * 2 ** 20;

/**
 * A conversation with a model. Its messages are written by the chat template of the tokenizer; without one they are lines of
 * one text, which the model goes on with. What was read stays read: a message costs its own tokens, however many came
 * before it, and going back costs none.
 */
export class Conversation implements Disposable {
  readonly #model: Model;
  readonly #tokenizer: Tokenizer;
  /** Sessions by what they have read. */
  readonly #known: PrefixCache<Session>;
  #messages: ChatMessage[] = [];
  #session: Session;
  /** What the session has read. */
  #read: readonly number[] = [];
  /** What stands for what was said: after something is taken back, the session has read more until it is asked for. */
  #tokens: readonly number[] = [];
  /** The same at the ends of earlier answers, by the number of messages. */
  #moments: readonly Moment[] = [];

  /** One in which nothing was said. Throws a usage error where the tokenizer makes more tokens than the model knows. */
  constructor(model: Model, tokenizer: Tokenizer) {
    this.#model = model;
    this.#tokenizer = tokenizer;
    this.#session = new Session(model, tokenizer);
    this.#known = new PrefixCache(MOST_BYTES, (session) => session.free());
  }

  /** What was said, the oldest first. */
  get messages(): readonly ChatMessage[] {
    return [...this.#messages];
  }

  /** Tokens that its memory stands for. */
  get tokensSeen(): number {
    return this.#tokens.length;
  }

  /** Bytes of its memory: the same for any number of tokens. */
  get stateBytes(): number {
    return this.#session.stateBytes;
  }

  /** What the model is told before all else; undefined: nothing. */
  get system(): string | undefined {
    return this.#messages[0]?.role === 'system' ? this.#messages[0].content : undefined;
  }

  /** Takes the place of the system message, or none; the next message lets the model read all again. */
  set system(content: string | undefined) {
    checkOption(content === undefined || typeof content === 'string', 'system', 'a text', content);
    if (content === this.system) return;
    const others = this.system === undefined ? this.#messages : this.#messages.slice(1);
    this.#moments = [];
    this.#tokens = [];
    this.#messages = content ? [{ role: 'system', content }, ...others] : [...others];
  }

  /**
   * Says something and gives the answer as it is written. Ending the loop early ends the answer; what was given out is part of
   * the conversation. Throws as `Session.generate` and `encodeChat` do; a message that cannot be read is not kept.
   */
  async *say(content: string, options: AnswerOptions = {}): AsyncGenerator<string, FinishReason, undefined> {
    checkOption(typeof content === 'string' && content !== '', 'say', 'a text that is not empty', content);
    const messages = [...this.#messages, { role: 'user', content }];
    const tokens = await this.#encode(messages);
    this.#session.generate(options); // what is wrong with them shows before anything is read
    await this.#goTo(tokens);
    this.#messages = messages;
    const ids: number[] = [];
    const pieces = this.#session.generate({ ...options, onToken: (id) => ids.push(id) });
    let answer = '';
    try {
      for (;;) {
        const { done, value } = await pieces.next();
        if (done) return value;
        answer += value;
        yield value;
      }
    } finally {
      await pieces.return('length');
      this.#read = [...tokens, ...ids].slice(0, this.#session.tokensSeen);
      if (answer !== '') this.#messages.push({ role: 'assistant', content: answer });
      this.#tokens = this.#read;
      this.#moments = [...this.#moments, { messages: this.#messages.length, tokens: this.#read }];
      await this.#remember();
    }
  }

  /** Takes back what was said last and its answer; false where nothing was said. */
  back(): boolean {
    const last = this.#messages.findLastIndex(({ role }) => role === 'user');
    if (last < 0) return false;
    this.#messages = this.#messages.slice(0, last);
    this.#moments = this.#moments.filter(({ messages }) => messages <= last);
    this.#tokens = this.#moments.at(-1)?.tokens ?? [];
    return true;
  }

  /** Forgets what was said, but the system message. */
  reset(): void {
    this.#messages = this.#messages.filter(({ role }) => role === 'system');
    this.#moments = [];
    this.#tokens = [];
    this.#known.clear();
  }

  /** A conversation of its own in which the same was said. */
  async fork(): Promise<Conversation> {
    await this.#goTo(this.#tokens);
    const fork = new Conversation(this.#model, this.#tokenizer);
    fork.#take(await this.#session.fork(), this.#read);
    fork.#messages = [...this.#messages];
    fork.#tokens = this.#tokens;
    fork.#moments = this.#moments;
    return fork;
  }

  /** The conversation as the safetensors file of a session, for `restore` on the same model. */
  async save(): Promise<Uint8Array> {
    await this.#goTo(this.#tokens);
    return this.#session.save(conversationNote({ messages: this.#messages, tokens: this.#read }));
  }

  /**
   * Takes the place of what was said with what a saved conversation had. Rejects with a checkpoint error, in which `source`
   * names the file, as `Session.restore` does, and for a session that is no conversation; this one then stays as it was.
   */
  async restore(bytes: Uint8Array, source = 'the saved conversation'): Promise<void> {
    const session = new Session(this.#model, this.#tokenizer);
    try {
      await session.restore(bytes, source);
      const { metadata } = parseSafetensors(bytes, source);
      const note = parseConversationNote(metadata, session.tokensSeen, source);
      if (!note) {
        throw new XlstmError(
          'checkpoint',
          `${source}: expected a saved conversation, found a session without one`,
          'A session of its own goes on with Session.restore, or xlstm generate --session.',
        );
      }
      this.#take(session, note.tokens);
      this.#messages = [...note.messages];
      this.#tokens = note.tokens;
      this.#moments = [{ messages: note.messages.length, tokens: note.tokens }];
      await this.#remember();
    } catch (error) {
      if (session !== this.#session) session.free();
      throw error;
    }
  }

  /** Gives its memory back. Throws a usage error while an answer is written. */
  free(): void {
    this.#session.free();
    this.#known.clear();
  }

  /** `free`, for `using`. */
  [Symbol.dispose](): void {
    this.free();
  }

  async #encode(messages: readonly ChatMessage[]): Promise<Int32Array> {
    if (hasChatTemplate(this.#tokenizer)) return encodeChat(this.#tokenizer, messages);
    let text = '';
    for (const { role, content } of messages) {
      text += role === 'assistant' || text === '' ? content : `\n${content}`;
    }
    return promptTokens(this.#tokenizer, text, true);
  }

  /** Lets the session be one that has read these tokens: from the longest beginning that is known. */
  async #goTo(tokens: ArrayLike<number>): Promise<void> {
    const all = Array.from(tokens);
    const own = startsWith(tokens, this.#read) ? this.#read.length : -1;
    const known = this.#known.longest(tokens);
    const length = known?.length ?? 0;
    if (own < length) {
      const session = known ? await known.value.fork() : new Session(this.#model, this.#tokenizer);
      this.#take(session, all.slice(0, length));
    }
    if (this.#read.length < all.length) await this.#session.append(all.slice(this.#read.length));
    this.#read = all;
    await this.#remember();
  }

  async #remember(): Promise<void> {
    const copy = await this.#session.fork();
    this.#known.put(this.#read, copy, copy.stateBytes + copy.logits.byteLength);
  }

  #take(session: Session, read: readonly number[]): void {
    this.#session.free();
    this.#session = session;
    this.#read = read;
  }
}
