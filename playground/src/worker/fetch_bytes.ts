/** Files of the page's own, by name. */
export async function fetchFiles(
  addresses: Readonly<Record<string, string>>,
): Promise<Map<string, Uint8Array>> {
  const files = Object.entries(addresses).map(
    async ([name, address]) => [name, await fetchBytes(address)] as const,
  );
  return new Map(await Promise.all(files));
}

/** A file of the page's own. Rejects with what to do where it cannot be had. */
export async function fetchBytes(address: string): Promise<Uint8Array> {
  const response = await fetch(address).catch(() => undefined);
  if (response?.ok) return new Uint8Array(await response.arrayBuffer());
  const name = new URL(address).pathname.split('/').at(-1);
  throw Object.assign(
    new Error(`${name}: cannot be fetched${response ? ` (HTTP ${response.status})` : ''}.`),
    {
      hint: 'Once the page has fetched it, it is there without a network too. Try again when there is one.',
    },
  );
}
