import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { XlstmError } from '../errors.ts';
import { arenaCommand } from './commands/arena.ts';
import { benchCommand } from './commands/bench.ts';
import { doctorCommand } from './commands/doctor.ts';
import { evalCommand } from './commands/eval.ts';
import { generateCommand } from './commands/generate.ts';
import { inspectCommand } from './commands/inspect.ts';
import { trainCommand } from './commands/train.ts';
import { verifyCommand } from './commands/verify.ts';
import { createStyle, wantsColor } from './ui/style.ts';

const FAILED = 1;
const WRONG_USAGE = 2;

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
    .description('Train, evaluate and run xLSTM language models.')
    .version(version(), '-V, --version', 'print the version')
    .helpCommand('help [command]', 'print the help of a command')
    .addHelpText('after', '\nEach command has more: xlstm <command> --help');
  const commands = [
    trainCommand(),
    generateCommand(),
    evalCommand(),
    inspectCommand(),
    verifyCommand(),
    doctorCommand(),
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
  for (const inner of command.commands) settle(inner, `${path} ${inner.name()}`);
}

function version(): string {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  return version;
}

/** One clear message for what a person can mend; everything for a fault of the program itself. */
function report(error: unknown): number {
  // Its message has been printed.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : WRONG_USAGE;
  const { bad, dim } = createStyle(wantsColor(process.stderr, process.env));
  if (error instanceof XlstmError && error.code !== 'internal') {
    const hint = error.hint ? `\n  ${dim(error.hint)}` : '';
    process.stderr.write(`${bad('error:')} ${error.message}${hint}\n`);
    return error.code === 'usage' ? WRONG_USAGE : FAILED;
  }
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  process.stderr.write(`${bad('internal error:')} ${text}\n`);
  return FAILED;
}
