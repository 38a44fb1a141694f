import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { XlstmError } from '../errors.ts';
import { arenaCommand } from './commands/arena.ts';
import { benchCommand } from './commands/bench.ts';
import { buildNativeCommand } from './commands/build_native.ts';
import { convertCommand } from './commands/convert.ts';
import { doctorCommand } from './commands/doctor.ts';
import { downloadCommand } from './commands/download.ts';
import { evalCommand } from './commands/eval.ts';
import { exportCommand } from './commands/export.ts';
import { fitCommand } from './commands/fit.ts';
import { forecastCommand } from './commands/forecast.ts';
import { generateCommand } from './commands/generate.ts';
import { initCommand } from './commands/init.ts';
import { inspectCommand } from './commands/inspect.ts';
import { mergeCommand } from './commands/merge.ts';
import { plotCommand } from './commands/plot.ts';
import { predictCommand } from './commands/predict.ts';
import { quantizeCommand } from './commands/quantize.ts';
import { tokenizeCommand } from './commands/tokenize.ts';
import { tokenizerCommand } from './commands/tokenizer.ts';
import { trainCommand } from './commands/train.ts';
import { verifyCommand } from './commands/verify.ts';
import { guardStandardStreams } from './standard_streams.ts';
import { createStyle, wantsColor } from './ui/style.ts';

const FAILED = 1;
const WRONG_USAGE = 2;

/** Runs the program: a command line and what belongs to the process around it. */
export async function main(args: readonly string[]): Promise<void> {
  const fail = (error: unknown): never => process.exit(report(error));
  guardStandardStreams(fail);
  process.on('uncaughtException', fail);
  process.exitCode = await runCli(args);
}

/** Runs a command line, without "node" and the script, and returns the exit code. */
export async function runCli(args: readonly string[]): Promise<number> {
  try {
    await program().parseAsync([...args], { from: 'user' });
    return Number(process.exitCode ?? 0);
  } catch (error) {
    return report(error);
  }
}

function program(): Command {
  const root = new Command('xlstm')
    .description('Train, evaluate and run xLSTM models of text and of numbers.')
    .version(version(), '-V, --version', 'print the version')
    // So that a command's own subcommand may have options of the same names (xlstm forecast train).
    .enablePositionalOptions()
    .helpCommand('help [command]', 'print the help of a command')
    .addHelpText('after', '\nEach command has more: xlstm <command> --help');
  const commands = [
    trainCommand(),
    tokenizeCommand(),
    tokenizerCommand(),
    initCommand(),
    generateCommand(),
    evalCommand(),
    plotCommand(),
    fitCommand(),
    predictCommand(),
    forecastCommand(),
    inspectCommand(),
    quantizeCommand(),
    mergeCommand(),
    convertCommand(),
    downloadCommand(),
    exportCommand(),
    verifyCommand(),
    doctorCommand(),
    buildNativeCommand(),
    benchCommand(),
    arenaCommand(),
  ];
  for (const command of commands) {
    root.addCommand(command);
  }
  settle(root, 'xlstm');
  return root;
}

/** What holds for a command and for those below it. */
function settle(command: Command, path: string): void {
  command.helpOption('-h, --help', 'print help').showHelpAfterError(`See: ${path} --help`).exitOverride();
  command.hook('preAction', (_, called) => {
    if (called.args.includes('')) throw new XlstmError('usage', 'expected a path, found an empty argument');
  });
  for (const inner of command.commands) settle(inner, `${path} ${inner.name()}`);
}

function version(): string {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  return version;
}

/** One clear message for what a person can mend; for a fault of the program itself, what to report. */
function report(error: unknown): number {
  // Its message has been printed.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : WRONG_USAGE;
  const { bad, dim } = createStyle(wantsColor(process.stderr, process.env));
  const told = systemError(error) ?? error;
  const foreseen = told instanceof XlstmError && told.code !== 'internal';
  const whole = told instanceof Error ? told.message : String(told);
  const message = foreseen ? whole : whole.split('\n', 1)[0];
  const hint = foreseen
    ? told.hint
    : 'This is a fault of xlstm: please report it, with what XLSTM_DEBUG=1 prints.';
  process.stderr.write(
    `${bad(foreseen ? 'error:' : 'internal error:')} ${message}${hint ? `\n  ${dim(hint)}` : ''}\n`,
  );
  if (process.env.XLSTM_DEBUG && error instanceof Error) process.stderr.write(`${error.stack}\n`);
  return foreseen && told.code === 'usage' ? WRONG_USAGE : FAILED;
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
