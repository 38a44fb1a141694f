import { XlstmError } from '../../errors.ts';
import { quote } from '../../quote.ts';

/** What tokenizer_config.json says beside tokenizer.json; all other keys are kept as they are. */
export interface TokenizerConfig {
  readonly [key: string]: unknown;
}

/** Checks the content of a file. Throws a config error that begins with `source`, and names the key. */
export function parseTokenizerConfig(json: unknown, source: string): TokenizerConfig {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) {
    throw new XlstmError('config', `${source}: expected an object, found ${quote(json)}`);
  }
  const { chat_template: template } = json as TokenizerConfig;
  if (template === undefined || template === null || isTemplate(template)) return json as TokenizerConfig;
  throw new XlstmError(
    'config',
    `${source}: chat_template: expected a text, or a list of {name, template}, found ${quote(template)}`,
  );
}

interface NamedTemplate {
  readonly name: string;
  readonly template: string;
}

const isTemplate = (value: unknown): value is string | readonly NamedTemplate[] =>
  typeof value === 'string' ||
  (Array.isArray(value) &&
    value.every((one) => typeof one?.name === 'string' && typeof one.template === 'string'));

/** What writes a conversation as one text, in the language of Jinja; of several the one named "default". */
export function chatTemplate({ chat_template: template }: TokenizerConfig): string | undefined {
  if (!isTemplate(template)) return undefined;
  if (typeof template === 'string') return template;
  return template.find(({ name }) => name === 'default')?.template;
}

/** The names of special tokens by their part: 'bos_token' → '<s>'. A name is a text, or an object with one. */
export function namedTokens(config: TokenizerConfig): ReadonlyMap<string, string> {
  const named = new Map<string, string>();
  for (const [key, value] of Object.entries(config)) {
    if (!key.endsWith('_token') || key.startsWith('add_')) continue;
    const name = (value as { readonly content?: unknown } | null)?.content ?? value;
    if (typeof name === 'string') named.set(key, name);
  }
  return named;
}
