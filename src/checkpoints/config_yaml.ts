import { XlstmError } from '../errors.ts';
import { DOCUMENT_LIMITS } from '../json.ts';
import { oneLine, quote } from '../quote.ts';

/** What helibrunna keeps beside a model's configuration, for the page of the model on a hub. */
const ABOUT = ['base_model', 'tags', 'languages'];

/**
 * A configuration as `config.json` would have it, given the content of a config.yaml: one of the official package's xLSTM
 * Large, which names no architecture, or one of helibrunna, whose `type` says what it is; that of a whole run of helibrunna has
 * it under `model`. Throws a config error that begins with `source`.
 */
export async function parseConfigYaml(content: Uint8Array, source: string): Promise<unknown> {
  const json = await parseYaml(content, source);
  if (!isObject(json)) {
    throw new XlstmError('config', `${source}: expected keys with values, found ${quote(json)}`);
  }
  const { type = 'xLSTMLMModel', ...config } = isObject(json.model) ? json.model : json;
  if (type !== 'xLSTMLMModel') {
    throw new XlstmError(
      'config',
      `${source}: type: expected xLSTMLMModel, found ${quote(type)}`,
      'Other models of helibrunna cannot be read.',
    );
  }
  for (const key of ABOUT) delete config[key];
  const isOriginal = ['mlstm_block', 'slstm_block', '_xlstm_config', 'architecture'].some(
    (key) => key in config,
  );
  return isOriginal ? config : { architecture: 'xlstm-large', ...config };
}

/** What a YAML file says, as JSON would have it. Throws a config error that begins with `source`. */
export async function parseYaml(content: Uint8Array, source: string): Promise<unknown> {
  const fail = (problem: string): never => {
    throw new XlstmError('config', `${source}: expected YAML: ${problem}`);
  };
  const { bytes } = DOCUMENT_LIMITS;
  if (content.length > bytes) return fail(`at most ${bytes} bytes, found ${content.length}`);
  const { parseDocument } = await import('yaml');
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(content);
  } catch {
    return fail('found bytes that are no UTF-8');
  }
  try {
    const document = parseDocument(text, { logLevel: 'error' });
    for (const error of document.errors) throw error;
    // References to other parts are bounded: a few lines could stand for gigabytes.
    return document.toJS({ maxAliasCount: 100 });
  } catch (error) {
    return fail(oneLine((error as Error).message, 160));
  }
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
