// Keeps the files of the page, so that it works without a network. The build puts in what they are.
const { version, files } = BUILT;

/** Caches belong to an origin, on which other copies of the page may lie. */
const prefix = `xlstm-playground ${registration.scope} `;
const name = prefix + version;

/** With them a page has shared memory, and the engine threads, whatever its server sends. */
const isolation = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
};

/** A copy, which comes from no redirection: browsers show no page that does. They follow one themselves. */
function isolated(response) {
  if (response.type === 'opaqueredirect') return response;
  const headers = new Headers(response.headers);
  for (const [header, value] of Object.entries(isolation)) headers.set(header, value);
  return new Response(response.body, { status: response.status, statusText: response.statusText, headers });
}

async function keepAll() {
  const cache = await caches.open(name);
  for (const file of files) {
    // Names of assets change with their contents.
    const response = await fetch(file, { cache: file.startsWith('assets/') ? 'default' : 'no-cache' });
    if (!response.ok) throw new Error(`${file}: HTTP ${response.status}`);
    await cache.put(file, isolated(response));
  }
}

async function dropOthers() {
  for (const other of await caches.keys())
    if (other.startsWith(prefix) && other !== name) await caches.delete(other);
  await clients.claim();
}

/** The newest page there is. */
async function pageFor(request) {
  try {
    return isolated(await fetch(request));
  } catch (error) {
    const cache = await caches.open(name);
    const kept = (await cache.match(request)) ?? (await cache.match('index.html'));
    if (kept) return kept;
    throw error;
  }
}

async function fileFor(request) {
  return (await (await caches.open(name)).match(request)) ?? isolated(await fetch(request));
}

addEventListener('install', (event) => event.waitUntil(keepAll()));
addEventListener('activate', (event) => event.waitUntil(dropOthers()));
addEventListener('fetch', (event) => {
  const { request } = event;
  if (request.method !== 'GET' || !request.url.startsWith(registration.scope)) return;
  event.respondWith(request.mode === 'navigate' ? pageFor(request) : fileFor(request));
});
