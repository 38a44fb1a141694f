import { expect, it } from 'vitest';
import { grantedCores } from './cores.ts';

const systems: [string, Record<string, string>, number][] = [
  ['no control groups', {}, Number.POSITIVE_INFINITY],
  [
    'version 2, no limit',
    { '/proc/self/cgroup': '0::/\n', '/sys/fs/cgroup/cpu.max': 'max 100000\n' },
    Number.POSITIVE_INFINITY,
  ],
  [
    'version 2, a container',
    { '/proc/self/cgroup': '0::/\n', '/sys/fs/cgroup/cpu.max': '200000 100000\n' },
    2,
  ],
  [
    'version 2, part of a core',
    { '/proc/self/cgroup': '0::/\n', '/sys/fs/cgroup/cpu.max': '50000 100000\n' },
    1,
  ],
  [
    'version 2, one and a half',
    { '/proc/self/cgroup': '0::/\n', '/sys/fs/cgroup/cpu.max': '150000 100000\n' },
    2,
  ],
  [
    'version 2, the tightest of the groups above',
    {
      '/proc/self/cgroup': '0::/a/b\n',
      '/sys/fs/cgroup/a/b/cpu.max': 'max 100000\n',
      '/sys/fs/cgroup/a/cpu.max': '300000 100000\n',
      '/sys/fs/cgroup/cpu.max': '800000 100000\n',
    },
    3,
  ],
  [
    'version 1, under the names of its controllers',
    {
      '/proc/self/cgroup': '5:memory:/x\n4:cpu,cpuacct:/docker/1\n0::/\n',
      '/sys/fs/cgroup/cpu,cpuacct/docker/1/cpu.cfs_quota_us': '400000\n',
      '/sys/fs/cgroup/cpu,cpuacct/docker/1/cpu.cfs_period_us': '100000\n',
    },
    4,
  ],
  [
    'version 1, mounted at the container’s own group',
    {
      '/proc/self/cgroup': '4:cpu:/docker/1\n',
      '/sys/fs/cgroup/cpu/cpu.cfs_quota_us': '100000\n',
      '/sys/fs/cgroup/cpu/cpu.cfs_period_us': '50000\n',
    },
    2,
  ],
  [
    'version 1, no limit',
    {
      '/proc/self/cgroup': '1:cpu:/\n',
      '/sys/fs/cgroup/cpu/cpu.cfs_quota_us': '-1\n',
      '/sys/fs/cgroup/cpu/cpu.cfs_period_us': '100000\n',
    },
    Number.POSITIVE_INFINITY,
  ],
  [
    'nonsense',
    { '/proc/self/cgroup': 'x\n0::/\n', '/sys/fs/cgroup/cpu.max': 'y\n' },
    Number.POSITIVE_INFINITY,
  ],
];

it.each(systems)('%s', async (_, files, cores) => {
  expect(await grantedCores(async (path) => files[path])).toBe(cores);
});
