/**
 * Has the page's files kept by the browser. Resolves when they are; to false where the browser keeps none for this page: it
 * was not fetched over HTTPS or from this machine, or may not store.
 */
export async function keepOffline(): Promise<boolean> {
  if (!import.meta.env.PROD || !navigator.serviceWorker) return false;
  try {
    await navigator.serviceWorker.register(new URL('service_worker.js', document.baseURI));
    await navigator.serviceWorker.ready;
    return true;
  } catch {
    return false;
  }
}
