import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/**
 * Gives back what loading a corpus has left before a long run begins. Otherwise V8 keeps some 20 MB of it for the first
 * hundreds of steps, and the memory of a run is not flat from the start. Hosts other than V8 have no such function.
 */
export function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  runInNewContext('typeof gc === "function" && gc()');
}
