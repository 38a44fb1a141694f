/**
 * Models that answer many at a time, by OpenAI's HTTP API: a handler of the Fetch API, for a server of one's own and for a
 * service worker. It takes the package hono.
 *
 * @module xlstm/serving
 */

export type { BatcherOptions } from './serving/batcher.ts';
export { type App, type AppOptions, createApp } from './serving/http/app.ts';
export { ServedForecaster } from './serving/http/forecasts.ts';
export { ServedModel, type ServedModelOptions } from './serving/http/served_model.ts';
export { MemoryStore } from './serving/sessions/memory_store.ts';
export {
  DEFAULT_SESSIONS,
  type Kept,
  type SessionStore,
  type StoredSession,
  type StoreLimits,
} from './serving/sessions/session_store.ts';
