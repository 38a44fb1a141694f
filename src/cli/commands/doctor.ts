import { Command } from 'commander';
import { doctor, formatDoctor } from '../../engine/doctor.ts';
import { standardOutput } from '../output.ts';

export function doctorCommand(): Command {
  return new Command('doctor')
    .description('say which engines there are, which one is taken and why, and how to get the others')
    .option('--json', 'print the findings as JSON')
    .addHelpText('after', '\nExamples:\n  xlstm doctor\n  xlstm doctor --json')
    .action(async ({ json }: { json?: boolean }) => {
      const report = await doctor();
      const output = standardOutput();
      if (json) output.json(report);
      else output.line(formatDoctor(report));
      if (report.choice.engine === 'none') process.exitCode = 1;
    });
}
