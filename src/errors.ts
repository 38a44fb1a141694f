/** Every error a person can cause carries one of these codes. */
export type ErrorCode =
  | 'usage'
  | 'config'
  | 'data'
  | 'checkpoint'
  | 'engine'
  | 'shape'
  | 'diverged'
  | 'internal';

/**
 * The one error class of the library. The message says what was expected and what was found; `hint` says
 * what to do about it.
 */
export class XlstmError extends Error {
  readonly code: ErrorCode;
  readonly hint: string | undefined;

  constructor(code: ErrorCode, message: string, hint?: string) {
    super(message);
    this.name = 'XlstmError';
    this.code = code;
    this.hint = hint;
  }
}

/** Throws an internal error: the caller broke an invariant of the library, not the user. */
export function invariant(condition: boolean, message: string): asserts condition {
  if (!condition) throw new XlstmError('internal', message);
}
