/** The cores that a Linux control group grants; containers are limited this way. */

/** Reads a file of the system; undefined where there is none. */
export type ReadText = (path: string) => Promise<string | undefined>;

const MOUNT = '/sys/fs/cgroup';

/** Cores by a quota of processor time, which is counted in parts of a core; a started one counts. */
const coresOf = (quota: string | undefined, period: string | undefined): number => {
  const cores = Number(quota) / Number(period);
  return cores > 0 && Number.isFinite(cores) ? Math.max(1, Math.ceil(cores)) : Number.POSITIVE_INFINITY;
};

/** A group and those above it, each of which may have a limit: "/a/b", "/a" and "". */
function lineOf(path: string): string[] {
  const parts = path.split('/').filter((part) => part !== '');
  return [...parts.keys(), parts.length].map((n) =>
    parts
      .slice(0, n)
      .map((part) => `/${part}`)
      .join(''),
  );
}

/** The cores that control groups leave this process, of version 2 or 1; Infinity where nothing limits it. */
export async function grantedCores(read: ReadText): Promise<number> {
  const limits: Promise<number>[] = [];
  for (const row of ((await read('/proc/self/cgroup')) ?? '').split('\n')) {
    const [, id, controllers, path] = /^(\d+):([^:]*):(.*)$/.exec(row) ?? [];
    if (id === undefined) continue;
    for (const group of lineOf(path)) {
      if (id === '0') limits.push(version2(read, `${MOUNT}${group}`));
      else if (controllers.split(',').includes('cpu')) {
        for (const mount of new Set([controllers, 'cpu']))
          limits.push(version1(read, `${MOUNT}/${mount}${group}`));
      }
    }
  }
  return Math.min(Number.POSITIVE_INFINITY, ...(await Promise.all(limits)));
}

async function version2(read: ReadText, folder: string): Promise<number> {
  const [quota, period] = ((await read(`${folder}/cpu.max`)) ?? '').trim().split(/\s+/);
  return coresOf(quota, period);
}

async function version1(read: ReadText, folder: string): Promise<number> {
  const quota = await read(`${folder}/cpu.cfs_quota_us`);
  return coresOf(quota, quota === undefined ? undefined : await read(`${folder}/cpu.cfs_period_us`));
}
