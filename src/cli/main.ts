import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { Command, CommanderError } from 'commander';
import { findLaunch, LaunchMismatch } from '../distributed/launcher.ts';
import { XlstmError } from '../errors.ts';
import { errorText } from './error_text.ts';
import { FIRST_MS } from './ranks.ts';
import { guardStandardStreams } from './standard_streams.ts';

const WRONG_USAGE = 2;

/** Each is loaded when it is called: to load them all takes as long again as to start. In the order of the help. */
export const commands: Readonly<Record<string, () => Promise<Command>>> = {
  train: async () => (await import('./commands/train.ts')).trainCommand(),
  tokenize: async () => (await import('./commands/tokenize.ts')).tokenizeCommand(),
  tokenizer: async () => (await import('./commands/tokenizer.ts')).tokenizerCommand(),
  init: async () => (await import('./commands/init.ts')).initCommand(),
  generate: async () => (await import('./commands/generate.ts')).generateCommand(),
  chat: async () => (await import('./commands/chat.ts')).chatCommand(),
  eval: async () => (await import('./commands/eval.ts')).evalCommand(),
  plot: async () => (await import('./commands/plot.ts')).plotCommand(),
  fit: async () => (await import('./commands/fit.ts')).fitCommand(),
  predict: async () => (await import('./commands/predict.ts')).predictCommand(),
  forecast: async () => (await import('./commands/forecast.ts')).forecastCommand(),
  inspect: async () => (await import('./commands/inspect.ts')).inspectCommand(),
  quantize: async () => (await import('./commands/quantize.ts')).quantizeCommand(),
  merge: async () => (await import('./commands/merge.ts')).mergeCommand(),
  convert: async () => (await import('./commands/convert.ts')).convertCommand(),
  download: async () => (await import('./commands/download.ts')).downloadCommand(),
  export: async () => (await import('./commands/export.ts')).exportCommand(),
  verify: async () => (await import('./commands/verify.ts')).verifyCommand(),
  doctor: async () => (await import('./commands/doctor.ts')).doctorCommand(),
  'build-native': async () => (await import('./commands/build_native.ts')).buildNativeCommand(),
  bench: async () => (await import('./commands/bench.ts')).benchCommand(),
  arena: async () => (await import('./commands/arena.ts')).arenaCommand(),
  serve: async () => (await import('./commands/serve.ts')).serveCommand(),
  sweep: async () => (await import('./commands/sweep.ts')).sweepCommand(),
};

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
    await (await program(args)).parseAsync([...args], { from: 'user' });
    return Number(process.exitCode ?? 0);
  } catch (error) {
    if (quiet) await sleep(FIRST_MS);
    // What all of them find the first tells.
    if (quiet && error instanceof LaunchMismatch) return errorText(error).exitCode;
    return report(error);
  }
}

/** The program with the command that is called, or with all where none is: its help names them, and near ones of a wrong name. */
async function program(args: readonly string[]): Promise<Command> {
  const root = new Command('xlstm')
    .description('Train, evaluate and run xLSTM models of text and of numbers.')
    .version(version(), '-V, --version', 'print the version')
    // So that a command's own subcommand may have options of the same names (xlstm forecast train).
    .enablePositionalOptions()
    .helpCommand('help [command]', 'print the help of a command')
    .addHelpText('after', '\nEach command has more: xlstm <command> --help');
  const called = Object.hasOwn(commands, args[0] ?? '') ? [commands[args[0]]] : Object.values(commands);
  for (const command of await Promise.all(called.map((load) => load()))) root.addCommand(command);
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
