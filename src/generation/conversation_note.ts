import type { ChatMessage } from '../data/subword/chat.ts';
import { XlstmError } from '../errors.ts';
import { quote } from '../quote.ts';

/** What was said in a session, beside what the model remembers of it. */
export interface ConversationNote {
  readonly messages: readonly ChatMessage[];
  /** All that the session has read. */
  readonly tokens: readonly number[];
}

/** The name under which the metadata of a session's file holds it. */
const NOTE = 'conversation';

/** For the metadata of the file of a session. */
export const conversationNote = ({ messages, tokens }: ConversationNote): Record<string, string> => ({
  [NOTE]: JSON.stringify({ messages, tokens }),
});

/** What the metadata of a session of so many tokens says; undefined for a session that is no conversation. Throws a checkpoint error. */
export function parseConversationNote(
  metadata: Readonly<Record<string, string>>,
  tokensSeen: number,
  source: string,
): ConversationNote | undefined {
  const note = metadata[NOTE];
  if (note === undefined) return undefined;
  let value: { messages?: unknown; tokens?: unknown };
  try {
    value = Object(JSON.parse(note));
  } catch {
    throw damaged(source, 'JSON', quote(note.slice(0, 40)));
  }
  const { messages, tokens } = value;
  const right =
    Array.isArray(messages) &&
    messages.every((one) => typeof one?.role === 'string' && typeof one.content === 'string') &&
    Array.isArray(tokens) &&
    tokens.every((id) => Number.isSafeInteger(id));
  if (!right) throw damaged(source, 'messages and tokens', quote(note.slice(0, 40)));
  if (tokens.length !== tokensSeen) throw damaged(source, `${tokensSeen} tokens`, `${tokens.length}`);
  return { messages: messages.map(({ role, content }) => ({ role, content })), tokens };
}

/** Whether the tokens begin with these. */
export const startsWith = (tokens: ArrayLike<number>, start: readonly number[]): boolean =>
  start.length <= tokens.length && start.every((id, i) => id === tokens[i]);

const damaged = (source: string, expected: string, found: string): XlstmError =>
  new XlstmError('checkpoint', `${source}: ${NOTE}: expected ${expected}, found ${found}`);
