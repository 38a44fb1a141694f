import { readFile } from 'node:fs/promises';
import type { Server } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { Command } from 'commander';
import { XlstmError } from '../../errors.ts';
import { MemoryStore } from '../../serving/sessions/memory_store.ts';
import { openSessionStore } from '../../serving/sessions/open_store.ts';
import { DEFAULT_SESSIONS } from '../../serving/sessions/session_store.ts';
import { addEngineOptions, type EngineChoice, withEngine } from '../engine_options.ts';
import { interruptible } from '../interrupt.ts';
import { addLoadingOptions } from '../loading_options.ts';
import { standardOutput } from '../output.ts';
import { integer, path, positive } from '../parse.ts';
import type { ServedOptions } from '../served_models.ts';

/** That what was written last has to reach a client when the server ends. */
const LAST_BYTES_MS = 3000;

interface ServeOptions extends EngineChoice, ServedOptions {
  readonly host: string;
  readonly port: number;
  readonly maxSeconds: number;
  readonly apiKeyFile?: string;
  readonly sessionStore?: string;
  readonly sessions: number;
  readonly sessionSeconds: number;
}

export function serveCommand(): Command {
  const command = new Command('serve')
    .description("answer many at a time over HTTP, by OpenAI's API")
    .argument('<models...>', 'checkpoints or folders of runs: models of text, and forecasters')
    .option('--name <name>', 'what requests call the model (default: the name of its folder)')
    .option('--host <address>', 'where to listen; 0.0.0.0: for other machines too', '127.0.0.1')
    .option('--port <n>', 'where to listen; 0: a free one', integer(0, 65_535), 8080)
    .option('--slots <n>', 'texts that are written at a time', integer(1, 4096), 16)
    .option('--queue <n>', 'texts that may wait for a slot; more are answered with 429', integer(0), 64)
    .option('--max-tokens <n>', 'tokens of an answer at most', integer(1), 4096)
    .option('--max-prompt-tokens <n>', 'tokens of a prompt at most', integer(1), 65_536)
    .option('--max-seconds <s>', 'an answer that takes longer is ended', positive(), 600)
    .option('--api-key-file <path>', 'requests must carry one of the keys in it, one a line', path)
    .option(
      '--session-store <where>',
      'where conversations are while nobody writes: disk:FOLDER or redis://HOST:PORT (default: in memory)',
    )
    .option('--sessions <n>', 'conversations that may be kept', integer(1), DEFAULT_SESSIONS.most)
    .option(
      '--session-seconds <s>',
      'a conversation that nobody goes on with for so long is given up',
      integer(1),
      DEFAULT_SESSIONS.seconds,
    )
    .addHelpText(
      'after',
      `
Examples:
  xlstm serve runs/moby-dick
  curl http://127.0.0.1:8080/v1/completions -H 'content-type: application/json' \\
    -d '{"model":"moby-dick","prompt":"The whale","max_tokens":40}'`,
    );
  addLoadingOptions(command);
  return addEngineOptions(command).action(async (places: string[], options: ServeOptions) => {
    const keys = options.apiKeyFile === undefined ? [] : await readKeys(options.apiKeyFile);
    const limits = { most: options.sessions, seconds: options.sessionSeconds };
    const sessions =
      options.sessionStore === undefined
        ? new MemoryStore(limits)
        : await openSessionStore(options.sessionStore, limits);
    await withEngine(options, async (engine) => {
      // hono is loaded by what needs it alone.
      const { createApp } = await import('../../serving/http/app.ts');
      const { openServed } = await import('../served_models.ts');
      const { models, forecasters } = await openServed(engine, places, options);
      const app = createApp({
        models,
        forecasters,
        sessions,
        keys,
        maxSeconds: options.maxSeconds,
        onError: (error) => {
          const { cause = error } = error as Error;
          process.stderr.write(`${(cause as Error).stack ?? String(cause)}\n`);
        },
      });
      await interruptible(async (signal) => {
        const output = standardOutput();
        const server = await listening(app.fetch, options.host, options.port);
        const names = [...models, ...forecasters].map(({ name }) => name).join(', ');
        output.line(
          `${names} ${names.includes(',') ? 'answer' : 'answers'} at ${server.url}/v1 (Ctrl-C ends it)`,
        );
        if (!signal.aborted)
          await new Promise((stop) => signal.addEventListener('abort', stop, { once: true }));
        app.drain();
        output.line('ending: texts that are being written go on to their ends');
        const closed = server.close();
        for (const served of [...models, ...forecasters]) await served.close();
        await Promise.race([closed, sleep(LAST_BYTES_MS, undefined, { ref: false })]);
        // Who does not read what was written, or sent half of a request, would keep the server for ever.
        server.cut();
        await closed;
        await sessions.close();
      });
    });
  });
}

/** A server that listens. Throws a usage error where it cannot. */
async function listening(
  fetch: (request: Request) => Promise<Response>,
  hostname: string,
  port: number,
): Promise<{ readonly url: string; close(): Promise<void>; cut(): void }> {
  const { serve } = await import('@hono/node-server');
  return new Promise((started, refused) => {
    const server = serve({ fetch, hostname, port }, (address) => {
      const host = address.family === 'IPv6' ? `[${address.address}]` : address.address;
      started({
        url: `http://${host}:${address.port}`,
        close: () => new Promise((closed) => server.close(() => closed())),
        cut: () => (server as Server).closeAllConnections(),
      });
    });
    server.on('error', (error: NodeJS.ErrnoException) => {
      const problem =
        error.code === 'EADDRINUSE' ? 'the port is in use' : `cannot listen there (${error.code})`;
      refused(new XlstmError('usage', `--host ${hostname} --port ${port}: ${problem}`, 'Take another one.'));
    });
  });
}

async function readKeys(file: string): Promise<string[]> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    throw new XlstmError(
      'usage',
      `--api-key-file ${file}: cannot read it (${(error as NodeJS.ErrnoException).code})`,
    );
  }
  const keys = text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
  if (keys.length > 0) return keys;
  throw new XlstmError('usage', `--api-key-file ${file}: expected a key a line, found none`);
}
