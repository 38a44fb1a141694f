import { Command } from 'commander';
import { doctor } from '../../compute/engines/doctor.ts';
import { findCompiler } from '../../compute/engines/native/compiler.ts';
import { formatDoctor } from '../doctor_text.ts';
import { standardOutput } from '../output.ts';

export function doctorCommand(): Command {
  return new Command('doctor')
    .description('say which engines there are, which one is taken and why, and how to get the others')
    .option('--json', 'print the findings as JSON')
    .addHelpText('after', '\nExamples:\n  xlstm doctor\n  xlstm doctor --json')
    .action(async ({ json }: { json?: boolean }) => {
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
