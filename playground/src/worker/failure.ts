import type { Failure } from '../protocol.ts';
import { engineIsLost } from './engine.ts';
import { tell } from './port.ts';

/** What is told of an error. Of an engine that is lost the page hears beside: it starts another worker. */
export function failureOf(error: unknown): Failure {
  const { message, hint } = error as { readonly message: string; readonly hint?: string };
  if (engineIsLost(error)) tell('engineLost', message);
  return { message, hint };
}
