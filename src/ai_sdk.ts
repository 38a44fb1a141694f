/**
 * Models for Vercel's AI SDK: `import { createXlstm } from 'xlstm/ai-sdk'`. It takes the package `@ai-sdk/openai-compatible`.
 *
 * @module xlstm/ai-sdk
 */

import { createOpenAICompatible, type OpenAICompatibleProvider } from '@ai-sdk/openai-compatible';
import { checkNames } from './checks.ts';
import { XlstmError } from './errors.ts';
import type { App } from './serving/http/app.ts';

/** Where the models are: in this process, or at a server. */
export interface XlstmProviderOptions {
  /** What `createApp` of `xlstm/serving` made: no server is needed. */
  readonly app?: Pick<App, 'fetch'>;
  /** The address of a server, such as `http://127.0.0.1:8080/v1`. */
  readonly baseURL?: string;
  /** A key that the server, or the app, asks for. */
  readonly apiKey?: string;
}

/**
 * A provider of the AI SDK: called with the name of a model it gives one for chats, `completionModel` one that writes on,
 * `embeddingModel` one of vectors. Throws a usage error unless either an app or an address is given.
 */
export function createXlstm(options: XlstmProviderOptions): OpenAICompatibleProvider {
  checkNames('createXlstm', options, ['app', 'baseURL', 'apiKey']);
  const { app, baseURL, apiKey } = options;
  if ((app === undefined) === (baseURL === undefined)) {
    throw new XlstmError(
      'usage',
      `createXlstm: expected either app or baseURL, found ${app ? 'both' : 'none'}`,
      'Give { app } for models of this process, { baseURL } for those of a server.',
    );
  }
  return createOpenAICompatible({
    name: 'xlstm',
    baseURL: baseURL ?? 'http://xlstm/v1', // an app looks at the path alone
    ...(apiKey === undefined ? {} : { apiKey }),
    ...(app ? { fetch: (input, init) => app.fetch(new Request(input, init)) } : {}),
    includeUsage: true,
    supportsStructuredOutputs: true,
  });
}
