import { XlstmError } from '../errors.ts';
import { createStyle, wantsColor } from './ui/style.ts';

const FAILED = 1;
const WRONG_USAGE = 2;

/** What a person is told of an error, with a line's end, and the exit code. */
export interface ErrorText {
  readonly text: string;
  readonly exitCode: number;
}

/**
 * One clear message for what a person can mend; for a fault of the program itself, what to report.
 *
 * @param who Goes before the message.
 */
export function errorText(error: unknown, who = ''): ErrorText {
  const { bad, dim } = createStyle(wantsColor(process.stderr, process.env));
  const told = systemError(error) ?? error;
  const foreseen = told instanceof XlstmError && told.code !== 'internal';
  const whole = told instanceof Error ? told.message : String(told);
  const message = foreseen ? whole : whole.split('\n', 1)[0];
  const hint = foreseen
    ? told.hint
    : 'This is a fault of xlstm: please report it, with what XLSTM_DEBUG=1 prints.';
  const stack = process.env.XLSTM_DEBUG && error instanceof Error ? `${error.stack}\n` : '';
  return {
    text: `${bad(foreseen ? 'error:' : 'internal error:')} ${who}${message}${hint ? `\n  ${dim(hint)}` : ''}\n${stack}`,
    exitCode: foreseen && told.code === 'usage' ? WRONG_USAGE : FAILED,
  };
}

/** What the system or Node's permission model refused is no fault of the program. */
function systemError(error: unknown): XlstmError | undefined {
  if (!(error instanceof Error) || error instanceof XlstmError || !('code' in error)) return undefined;
  if (error.code === 'ERR_ACCESS_DENIED') {
    const { permission, resource } = error as { permission?: string; resource?: string };
    return new XlstmError(
      'data',
      `${resource || 'Node'}: not allowed by Node's permission model${permission ? ` (${permission})` : ''}`,
      'Allow it when starting Node (see node --help), or start Node without that model.',
    );
  }
  if (!('syscall' in error && 'path' in error)) return undefined;
  return new XlstmError('data', `${error.path}: ${error.message}`, 'Check the path and who may use it.');
}
