import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { Command, CommanderError } from 'commander';
import { findLaunch, LaunchMismatch } from '../distributed/launcher.ts';
import { XlstmError } from '../errors.ts';
import { arenaCommand } from './commands/arena.ts';
import { benchCommand } from './commands/bench.ts';
import { buildNativeCommand } from './commands/build_native.ts';
import { chatCommand } from './commands/chat.ts';
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
import { serveCommand } from './commands/serve.ts';
import { sweepCommand } from './commands/sweep.ts';
import { tokenizeCommand } from './commands/tokenize.ts';
import { tokenizerCommand } from './commands/tokenizer.ts';
import { trainCommand } from './commands/train.ts';
import { verifyCommand } from './commands/verify.ts';
import { errorText } from './error_text.ts';
import { FIRST_MS } from './ranks.ts';
import { guardStandardStreams } from './standard_streams.ts';

const WRONG_USAGE = 2;

/** Of ranks that mpirun started the first speaks for all. */
const quiet = (findLaunch(process.env)?.rank ?? 0) > 0;

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
    if (quiet) await sleep(FIRST_MS);
    // What all of them find the first tells.
    if (quiet && error instanceof LaunchMismatch) return errorText(error).exitCode;
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
    chatCommand(),
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
    serveCommand(),
    sweepCommand(),
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
  if (quiet) command.configureOutput({ writeOut: () => {}, writeErr: () => {} });
  command.hook('preAction', (_, called) => {
    if (called.args.includes('')) throw new XlstmError('usage', 'expected a path, found an empty argument');
  });
  for (const inner of command.commands) settle(inner, `${path} ${inner.name()}`);
}

function version(): string {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  return version;
}

function report(error: unknown): number {
  // Its message has been printed.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : WRONG_USAGE;
  const { text, exitCode } = errorText(error);
  process.stderr.write(text);
  return exitCode;
}
