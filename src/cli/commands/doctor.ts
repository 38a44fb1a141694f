import { Command } from 'commander';
import { doctor } from '../../compute/engines/doctor.ts';
import { findCompiler } from '../../compute/engines/native/compiler.ts';
import { findLaunch } from '../../distributed/launcher.ts';
import { formatDoctor } from '../doctor_text.ts';
import { findMpi, formatMpi } from '../mpi_findings.ts';
import { standardOutput } from '../output.ts';

export function doctorCommand(): Command {
  return new Command('doctor')
    .description('say which engines there are, which one is taken and why, and how to get the others')
    .option('--mpi', 'say which MPI library, ABI and launcher there are, and which ranks found each other')
    .option('--json', 'print the findings as JSON')
    .addHelpText(
      'after',
      '\nExamples:\n  xlstm doctor\n  xlstm doctor --json\n  mpirun -n 2 xlstm doctor --mpi',
    )
    .action(async ({ json, mpi }: { json?: boolean; mpi?: boolean }) => {
      if (mpi) return tellMpi(json ?? false);
      const found = await doctor();
      // On Windows nothing is compiled.
      const compilers = process.platform === 'win32' ? [] : [findCompiler()];
      const report = { ...found, parts: [...compilers, ...found.parts] };
      const output = standardOutput();
      if (json) output.json(report);
      else output.line(formatDoctor(report));
      if (report.choice.engine === 'none') process.exitCode = 1;
    });
}

/** Rank 0 tells for all. */
async function tellMpi(json: boolean): Promise<void> {
  const found = await findMpi();
  if ((findLaunch(process.env)?.rank ?? 0) > 0) return;
  const output = standardOutput();
  if (json) output.json(found);
  else output.line(formatMpi(found));
}
