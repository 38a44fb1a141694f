import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { encodeChat } from '../data/subword/chat.ts';
import { SubwordTokenizer } from '../data/subword/subword_tokenizer.ts';
import { ByteTokenizer, DOCUMENT } from '../data/tokenizer.ts';
import { Conversation } from './conversation.ts';
import { Session } from './session.ts';
import { collect, tinyModel } from './testing/models.ts';

const golden = new URL('../../test/golden/tokenizers/byte_level.json', import.meta.url);
const chat_template =
  '{% for message in messages %}<|padding|>{{ message.role }}: {{ message.content }}<|endoftext|>{% endfor %}<|padding|>assistant: ';
const chatty = await SubwordTokenizer.create(JSON.parse(readFileSync(golden, 'utf8')), {
  config: { bos_token: '<|endoftext|>', chat_template },
});
const bytes = new ByteTokenizer([DOCUMENT]);

const options = { maxTokens: 8, seed: 4 };
const say = (conversation: Conversation, text: string): Promise<string> =>
  collect(conversation.say(text, options));

describe.each([
  ['with a chat template', chatty],
  ['without one', bytes],
] as const)('a conversation %s', (_, tokenizer) => {
  const model = tinyModel(tokenizer.vocabSize, 5);
  const begun = async (): Promise<Conversation> => {
    const conversation = new Conversation(model, tokenizer);
    await say(conversation, 'Who are you?');
    return conversation;
  };

  it('is answered as if all of it were read at once', async () => {
    const conversation = await begun();
    conversation.system = 'Be brief.';
    const before = conversation.messages;
    const answer = await say(conversation, 'Oh.');
    const messages = [...before, { role: 'user', content: 'Oh.' }];
    expect(conversation.messages).toEqual([...messages, { role: 'assistant', content: answer }]);
    expect(conversation.messages.map(({ role }) => role)).toEqual([
      ...['system', 'user', 'assistant', 'user', 'assistant'],
    ]);
    const session = new Session(model, tokenizer);
    if (tokenizer === chatty) await session.append(await encodeChat(tokenizer, messages));
    else await session.append(`Be brief.\nWho are you?${before[2].content}\nOh.`);
    expect(await collect(session.generate(options))).toBe(answer);
  });

  it('goes back, and says the same again from what was read', async () => {
    const conversation = await begun();
    const answers = [await say(conversation, 'Oh.'), await say(conversation, 'And?')];
    expect([conversation.back(), conversation.back()]).toEqual([true, true]);
    expect(conversation.messages).toHaveLength(2);
    expect([await say(conversation, 'Oh.'), await say(conversation, 'And?')]).toEqual(answers);
    conversation.reset();
    expect(conversation.messages).toEqual([]);
    expect(conversation.back()).toBe(false);
  });

  it('keeps nothing of what was taken back or forgotten, in its file neither', async () => {
    const conversation = await begun();
    const early = await conversation.save();
    const { tokensSeen } = conversation;
    await say(conversation, 'A secret.');
    conversation.back();
    expect(conversation.tokensSeen).toBe(tokensSeen);
    expect(await conversation.save()).toEqual(early);
    await say(conversation, 'A secret.');
    conversation.back();
    expect(await (await conversation.fork()).save()).toEqual(early);
    const nothing = await new Conversation(model, tokenizer).save();
    conversation.reset();
    expect(conversation.tokensSeen).toBe(0);
    expect(await conversation.save()).toEqual(nothing);
    const answer = await say(conversation, 'Oh.');
    expect(answer).toBe(await say(new Conversation(model, tokenizer), 'Oh.'));
    conversation.system = 'Be brief.';
    expect(conversation.tokensSeen).toBe(0);
    const restored = new Conversation(model, tokenizer);
    await restored.restore(await conversation.save());
    expect([restored.tokensSeen, restored.messages]).toEqual([0, conversation.messages]);
    expect(await say(restored, 'And?')).toBe(await say(conversation, 'And?'));
  });

  it('is forked, and saved and restored, and goes on as the one', async () => {
    const conversation = await begun();
    const fork = await conversation.fork();
    const restored = new Conversation(model, tokenizer);
    await say(restored, 'Something else.');
    await restored.restore(await conversation.save());
    expect(restored.messages).toEqual(conversation.messages);
    expect(restored.tokensSeen).toBe(conversation.tokensSeen);
    const answer = await say(conversation, 'Oh.');
    expect(await say(fork, 'Oh.')).toBe(answer);
    expect(await say(restored, 'Oh.')).toBe(answer);
    for (const each of [conversation, fork, restored]) each.free();
  });

  it('keeps of an answer that is aborted what was given out', async () => {
    const conversation = await begun();
    const stop = new AbortController();
    let answer = '';
    await expect(async () => {
      for await (const piece of conversation.say('Oh.', { seed: 1, signal: stop.signal })) {
        answer += piece;
        if (answer.length > 4) stop.abort(new Error('enough'));
      }
    }).rejects.toThrow('enough');
    expect(conversation.messages.at(-1)).toEqual({ role: 'assistant', content: answer });
    const undisturbed = new Conversation(model, tokenizer);
    await undisturbed.restore(await conversation.save());
    expect(await say(conversation, 'And?')).toBe(await say(undisturbed, 'And?'));
  });

  it('refuses what it cannot take, and stays as it was', async () => {
    const conversation = await begun();
    const before = conversation.messages;
    const usage = { code: 'usage' };
    await expect(say(conversation, '')).rejects.toMatchObject(usage);
    await expect(collect(conversation.say('a', { temperature: -1 }))).rejects.toMatchObject(usage);
    const session = new Session(model, tokenizer);
    await session.append('a');
    const refuses = async (saved: Uint8Array, message: string): Promise<void> =>
      expect(conversation.restore(saved, 'my.session')).rejects.toMatchObject({
        code: 'checkpoint',
        message: expect.stringContaining(message),
      });
    await refuses(await session.save(), 'my.session: expected a saved conversation, found a session');
    const noted = (note: unknown): Promise<Uint8Array> =>
      session.save({ conversation: typeof note === 'string' ? note : JSON.stringify(note) });
    await refuses(await noted('{'), 'conversation: expected JSON');
    await refuses(await noted(null), 'conversation: expected messages and tokens');
    await refuses(await noted({ messages: [{ role: 1 }], tokens: [] }), 'expected messages and tokens');
    await refuses(await noted({ messages: [], tokens: [1, 2, 3, 4] }), 'tokens, found 4');
    expect(conversation.messages).toEqual(before);
    await say(conversation, 'Oh.');
  });
});
