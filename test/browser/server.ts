import { readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname } from 'node:path';
import ts from 'typescript';

const project = new URL('../../', import.meta.url);

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
  '.ts': 'text/javascript',
  '.wasm': 'application/wasm',
};

/** Headers that give a page shared memory, and with it threads. */
const isolation = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
};

/** Of what the browser's entry imports; another package has none, and the page does not load. */
const addresses: Readonly<Record<string, string>> = {
  valibot: '/node_modules/valibot/dist/index.mjs',
  'wasm-feature-detect': '/node_modules/wasm-feature-detect/dist/esm/index.js',
};

export interface Site {
  readonly address: string;
  close(): Promise<void>;
}

/**
 * Serves a folder, by default the project's, on the loopback address. The project's modules are served as they are built, except that the names of
 * packages become addresses, since workers know no import map; types are taken out of the test's own modules.
 */
export async function serve({
  isolated,
  root = project,
  files = new Map(),
}: {
  readonly isolated: boolean;
  readonly root?: URL;
  /** By their paths, beside those of the project. */
  readonly files?: ReadonlyMap<string, Uint8Array>;
}): Promise<Site> {
  const server = createServer(async (request, response) => {
    const path = new URL(request.url ?? '/', 'http://localhost').pathname;
    try {
      const body = files.get(path) ?? (await contents(root, path));
      const type = types[extname(path)] ?? 'application/octet-stream';
      response.writeHead(200, { 'Content-Type': type, ...(isolated ? isolation : {}) }).end(body);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return { address: `http://127.0.0.1:${port}`, close: () => closed(server) };
}

async function contents(root: URL, path: string): Promise<Uint8Array | string> {
  if (path === '/page.html') return '<!doctype html><title>xlstm</title>';
  const bytes = await readFile(new URL(`.${path}`, root));
  if (path.endsWith('.ts')) {
    const compilerOptions = { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext };
    return ts.transpileModule(bytes.toString(), { compilerOptions }).outputText;
  }
  if (!path.startsWith('/dist/') || !path.endsWith('.js')) return bytes;
  return bytes.toString().replaceAll(/ from '([a-z-]+)'/g, (_, name) => ` from '${addresses[name]}'`);
}

const closed = (server: Server): Promise<void> =>
  new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
