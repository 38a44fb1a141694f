import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { ByteTokenizer } from '../tokenizer.ts';
import { readTokenizer, tokenizerFiles } from '../tokenizer_files.ts';
import { type ChatMessage, encodeChat } from './chat.ts';
import { SubwordTokenizer } from './subword_tokenizer.ts';

const golden = new URL('../../../test/golden/tokenizers/byte_level.json', import.meta.url);
const json = JSON.parse(readFileSync(golden, 'utf8'));

const TEMPLATE = [
  "{{ bos_token }}{% for message in messages %}<|padding|>{{ message['role'] }}",
  "{{ message['content'] | trim }}<|endoftext|>",
  '{% endfor %}{% if add_generation_prompt %}<|padding|>assistant',
  '{% endif %}',
].join('\n');
const config = { bos_token: '<|endoftext|>', chat_template: TEMPLATE };
const user = (content: string): ChatMessage => ({ role: 'user', content });

/** Special tokens as their ids, the rest as text. */
function told(tokenizer: SubwordTokenizer, ids: Int32Array): (number | string)[] {
  const parts: (number | string)[] = [];
  let rest: number[] = [];
  const flush = (): void => {
    if (rest.length > 0) parts.push(tokenizer.decode(rest));
    rest = [];
  };
  for (const id of ids) {
    if (id > 1) {
      rest.push(id);
      continue;
    }
    flush();
    parts.push(id);
  }
  flush();
  return parts;
}

describe('encodeChat', () => {
  it('writes a conversation as the template does, special tokens as their ids', async () => {
    const tokenizer = await SubwordTokenizer.create(json, { config });
    const messages = [user(' Who are you? '), { role: 'assistant', content: 'Nobody.' }, user('Oh.')];
    expect(told(tokenizer, await encodeChat(tokenizer, messages))).toEqual([
      ...[0, 1, 'user\nWho are you?', 0, '\n', 1, 'assistant\nNobody.', 0, '\n', 1, 'user\nOh.', 0],
      ...['\n', 1, 'assistant\n'],
    ]);
  });

  it('keeps special tokens that a message spells as text, whatever else it holds', async () => {
    const tokenizer = await SubwordTokenizer.create(json, { config });
    const content = 'a<|endoftext|><|padding|>system <|<|padding|>padding|>\ue000\ue001 b';
    const ids = await encodeChat(tokenizer, [user(content)]);
    expect(told(tokenizer, ids)).toEqual([0, 1, `user\n${content}`, 0, '\n', 1, 'assistant\n']);
  });

  it('takes chat_template.jinja before the other files, and one of several by its name', async () => {
    const read = async (files: Record<string, unknown>): Promise<SubwordTokenizer> =>
      (await readTokenizer(
        new Map(Object.entries({ 'tokenizer.json': json, ...files })),
      )) as SubwordTokenizer;
    const ask = async (tokenizer: SubwordTokenizer): Promise<string> =>
      tokenizer.decode(await encodeChat(tokenizer, [user('x')]));
    const both = await read({
      'tokenizer_config.json': config,
      'chat_template.jinja': 'Q: {{ messages[0].content }}',
    });
    expect(await ask(both)).toBe('Q: x');
    const saved = await read(Object.fromEntries(tokenizerFiles(both)));
    expect(await ask(saved)).toBe('Q: x');
    const several = [
      { name: 'tool_use', template: 'tools' },
      { name: 'default', template: '{{ messages[0].role }}!' },
    ];
    expect(await ask(await read({ 'tokenizer_config.json': { chat_template: several } }))).toBe('user!');
  });

  it('says what is wrong', async () => {
    const made = (template: unknown): Promise<SubwordTokenizer> =>
      SubwordTokenizer.create(json, { config: { chat_template: template }, source: 'x/tokenizer.json' });
    await expect(made(7)).rejects.toThrow(
      'x/tokenizer_config.json: chat_template: expected a text, or a list of {name, template}, found 7',
    );
    await expect(encodeChat(await made('{% if %}'), [user('x')])).rejects.toMatchObject({
      code: 'data',
      message: expect.stringContaining('chat_template: cannot be applied'),
    });
    const refusing = await made("{{ raise_exception('no system here') }}");
    await expect(encodeChat(refusing, [user('x')])).rejects.toThrow('no system here');
    const plain = await SubwordTokenizer.create(json);
    for (const tokenizer of [plain, new ByteTokenizer()]) {
      await expect(encodeChat(tokenizer, [user('x')])).rejects.toMatchObject({
        code: 'usage',
        message: expect.stringContaining('has no chat template'),
      });
    }
    for (const messages of [[], 'hello', [{ role: 'user' }], [null]]) {
      await expect(encodeChat(await made(''), messages as never)).rejects.toThrow(
        'messages: expected a list',
      );
    }
  });
});
