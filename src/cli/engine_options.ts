import { type Command, Option } from 'commander';
import { type EngineChoice as ChoiceName, chooseEngine, engineChoices } from '../compute/engines/choose.ts';
import type { Engine } from '../compute/engines/engine.ts';
import { integer } from './parse.ts';
import { wrapped } from './ui/word_wrap.ts';

export interface EngineChoice {
  readonly engine: ChoiceName;
  readonly threads?: number;
}

export const addEngineOptions = (
  command: Command,
  threads = "threads (default: the machine's cores); the result does not depend on it",
): Command =>
  command
    .addOption(
      new Option('--engine <name>', 'what computes; auto takes the fastest there is')
        .choices(engineChoices)
        .default('auto'),
    )
    .option('--threads <n>', threads, integer(1, 256));

/**
 * Runs with the engine that was chosen, which standard error names with the reason, and stops it at the end.
 *
 * @param quiet Standard error is told nothing.
 */
export async function withEngine<T>(
  { engine: name, threads }: EngineChoice,
  run: (engine: Engine) => Promise<T>,
  quiet = false,
): Promise<T> {
  const { engine, reason } = await chooseEngine(name, { threads });
  if (!quiet) {
    const { columns = Number.POSITIVE_INFINITY } = process.stderr;
    process.stderr.write(`${wrapped(`engine  ${engine.description} (${reason})`, columns, 8)}\n`);
  }
  try {
    return await run(engine);
  } finally {
    await engine.close();
  }
}
