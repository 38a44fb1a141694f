/** What is wrong: every error a person can cause carries one of these codes. */
export type ErrorCode =
  /** A call, or an option of it. */
  | 'usage'
  /** A configuration, or parts of it that do not fit together. */
  | 'config'
  /** Texts, numbers or files to work on. */
  | 'data'
  /** A saved model, its weights or the state of a training run. */
  | 'checkpoint'
  /** An engine that is not there, was closed or has failed. */
  | 'engine'
  /** Tensors whose shapes do not go together. */
  | 'shape'
  /** A loss, a gradient or logits that are no finite numbers. */
  | 'diverged'
  /** A mistake of the library's own. */
  | 'internal';

/**
 * The one error class of the library. The message says what was expected and what was found; `hint` says
 * what to do about it.
 */
export class XlstmError extends Error {
  /** What kind of thing is wrong, for programs. */
  readonly code: ErrorCode;
  /** What to do about it, for people; undefined where the message says all. */
  readonly hint: string | undefined;

  /** The message begins with where the error is: a file, a key, an option. */
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
