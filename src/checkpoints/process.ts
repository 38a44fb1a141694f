import { readFileSync } from 'node:fs';

/** Whether a process runs on this machine; one of another user counts, one that only waits to be buried does not. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
  const state = processStatus(pid)?.[0];
  return state !== 'Z' && state !== 'X';
}

/**
 * When a process started, in a form that two processes with the same number never share: the system's start and, in
 * its clock ticks, the process's. Null where the system does not say: only Linux does.
 */
export function processStart(pid: number): string | null {
  const status = processStatus(pid);
  if (status === undefined) return null;
  try {
    return `${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()} ${status[19]}`;
  } catch {
    return null;
  }
}

/** The fields of Linux' /proc/<pid>/stat from the third, the state, on; undefined elsewhere. */
function processStatus(pid: number): string[] | undefined {
  try {
    const status = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The second field, the command in brackets, may hold spaces and brackets.
    return status.slice(status.lastIndexOf(')') + 2).split(' ');
  } catch {
    return undefined;
  }
}
