import { cpus } from 'node:os';

/** "2 × AMD EPYC" */
export const machineInWords = (): string =>
  `${cpus().length} × ${cpus()[0]?.model.trim() ?? 'unknown processor'}`;
