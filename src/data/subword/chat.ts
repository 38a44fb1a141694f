import { checkOption } from '../../checks.ts';
import { XlstmError } from '../../errors.ts';
import { oneLine } from '../../quote.ts';
import type { Tokenizer } from '../tokenizer.ts';
import { SubwordTokenizer } from './subword_tokenizer.ts';

/** A part of a conversation. */
export interface ChatMessage {
  /** Who says it: "system", "user", "assistant", or what else the model's template knows. */
  readonly role: string;
  /** What is said. */
  readonly content: string;
}

/** Whether a model's tokenizer says how conversations are written. */
export const hasChatTemplate = (tokenizer: Tokenizer): boolean =>
  tokenizer instanceof SubwordTokenizer && tokenizer.chat !== undefined;

/**
 * The tokens of a conversation as the tokenizer's chat template writes it, up to where the model is to answer: for
 * `complete` or `append` of a new session. Special tokens come from the template alone: where a message spells one it stays
 * text. The package @huggingface/jinja runs the template; it is loaded when the first one is. Rejects with a usage error where
 * the tokenizer has no template or the messages are none, with a data error for what the template refuses.
 */
export async function encodeChat(
  tokenizer: Tokenizer,
  messages: readonly ChatMessage[],
): Promise<Int32Array> {
  const right =
    Array.isArray(messages) &&
    messages.length > 0 &&
    messages.every((one) => typeof one?.role === 'string' && typeof one.content === 'string');
  checkOption(right, 'messages', 'a list of messages, each with a role and a content', messages);
  const chat = tokenizer instanceof SubwordTokenizer ? tokenizer.chat : undefined;
  if (!chat) {
    throw new XlstmError(
      'usage',
      'the tokenizer has no chat template (chat_template in tokenizer_config.json, or chat_template.jinja)',
      'Models that were not trained on conversations have none: give a text instead.',
    );
  }
  const { template, tokens } = chat;
  const specials = [...tokenizer.specials.keys()].sort((a, b) => b.length - a.length);
  if (specials.length === 0) return tokenizer.encode(await render(template, messages, tokens));
  const anySpecial = new RegExp(`(${specials.map(escaped).join('|')})`, 'g');
  const spelled = new Set(
    messages.flatMap(({ role, content }) => [...(role + content).matchAll(anySpecial)].map(([name]) => name)),
  );
  const characters = unusedCharacters(JSON.stringify(messages) + template, spelled.size);
  const hidden = new Map([...spelled].map((name, i) => [name, characters[i]]));
  const names = new Map([...hidden].map(([name, character]) => [character, name]));
  const hide = (text: string): string => text.replaceAll(anySpecial, (name) => hidden.get(name) ?? name);
  const show = (text: string): string =>
    Array.from(text, (character) => names.get(character) ?? character).join('');
  const safe = messages.map(({ role, content }) => ({ role: hide(role), content: hide(content) }));
  const parts = (await render(template, safe, tokens)).split(anySpecial);
  const ids = parts.map((part) => {
    const id = tokenizer.specials.get(part);
    return id === undefined ? tokenizer.encode(show(part)) : [id];
  });
  return Int32Array.from(ids.flatMap((some) => [...some]));
}

async function render(
  template: string,
  messages: readonly ChatMessage[],
  tokens: Readonly<Record<string, string>>,
): Promise<string> {
  const { Template } = await import('@huggingface/jinja');
  try {
    return new Template(template).render({ messages, add_generation_prompt: true, ...tokens });
  } catch (error) {
    throw new XlstmError(
      'data',
      `chat_template: cannot be applied to these messages: ${oneLine((error as Error).message, 160)}`,
    );
  }
}

const escaped = (name: string): string => name.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&');

/** Characters for private use that a text has not. */
function unusedCharacters(text: string, count: number): readonly string[] {
  const found: string[] = [];
  for (let code = 0xe000; code < 0xf900 && found.length < count; code++) {
    const character = String.fromCharCode(code);
    if (!text.includes(character)) found.push(character);
  }
  if (found.length === count) return found;
  throw new XlstmError(
    'data',
    `messages: spell ${count} special tokens, found ${found.length} characters for private use that they do not hold`,
  );
}
