import type { DoctorReport, Finding } from '../compute/engines/doctor.ts';

/** The report as text for a terminal. */
export function formatDoctor(report: DoctorReport): string {
  const lines = [report.host, ''];
  const width = Math.max(...[...report.engines, ...report.parts].map(({ name }) => name.length));
  const list = (title: string, findings: readonly Finding[]): void => {
    lines.push(title);
    for (const { name, present, detail, hint } of findings) {
      lines.push(`  ${present ? 'yes' : 'no '}  ${name.padEnd(width)}  ${detail}`);
      if (hint) lines.push(`       ${''.padEnd(width)}  to get it: ${hint}`);
    }
    lines.push('');
  };
  list('Engines', report.engines);
  list('What they use', report.parts);
  lines.push(`--engine auto takes ${report.choice.engine}: ${report.choice.reason}`);
  return lines.join('\n');
}
