import { XlstmError } from '../../errors.ts';

/** One thing that was looked for. */
export interface Finding {
  /** What was looked for: an engine, or a part of one such as "shared memory". */
  readonly name: string;
  /** Whether it can be used here. */
  readonly present: boolean;
  /** What was found, or why it is missing. */
  readonly detail: string;
  /** What to do to get it, where it is missing. */
  readonly hint?: string;
}

/** What an engine's error says, as a finding. Throws every other error. */
export const missing = (name: string, error: unknown): Finding => {
  if (!(error instanceof XlstmError)) throw error;
  return { name, present: false, detail: error.message, hint: error.hint };
};
