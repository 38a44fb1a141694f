import { execFileSync } from 'node:child_process';
import { createReadStream, createWriteStream, existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rename, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createBrotliDecompress } from 'node:zlib';
import { importKoffi } from '../../node_host.ts';
import { packageFolder } from '../../remedies.ts';

/** The package holds binaries for this platform alone. */
export const hasSoftwareGpu = process.platform === 'linux' && process.arch === 'x64';

/** What a process needs in its environment to find the software GPU. */
export interface GpuEnvironment {
  readonly VK_DRIVER_FILES: string;
  readonly LD_LIBRARY_PATH: string;
}

/**
 * SwiftShader, a GPU in software with a Vulkan loader, from the package @sparticuz/chromium. The first call unpacks it.
 */
export async function softwareGpu(): Promise<GpuEnvironment> {
  const folder = await unpacked();
  return {
    VK_DRIVER_FILES: join(folder, 'vk_swiftshader_icd.json'),
    LD_LIBRARY_PATH: [folder, process.env.LD_LIBRARY_PATH].filter(Boolean).join(':'),
  };
}

/** Libraries that stay open: koffi closes one that nothing refers to any more. */
const opened = new Set<unknown>();

/** The same for this process, before its first engine; with the driver that VK_DRIVER_FILES names, where it is set. */
export async function useSoftwareGpu(): Promise<void> {
  const { VK_DRIVER_FILES } = await softwareGpu();
  process.env.VK_DRIVER_FILES ??= VK_DRIVER_FILES;
  // A loaded library is found by its name, wherever it lies.
  opened.add((await importKoffi()).load(join(dirname(VK_DRIVER_FILES), 'libvulkan.so.1')));
}

async function unpacked(): Promise<string> {
  const packed = dirname(dirname(dirname(createRequire(import.meta.url).resolve('@sparticuz/chromium'))));
  const { version } = JSON.parse(await readFile(join(packed, 'package.json'), 'utf8'));
  const cache = join(packageFolder, '.browser');
  const folder = join(cache, `swiftshader-${version}`);
  if (existsSync(folder)) return folder;
  await mkdir(cache, { recursive: true });
  const making = await mkdtemp(join(cache, 'unpacking-'));
  try {
    await pipeline(
      createReadStream(join(packed, 'bin/swiftshader.tar.br')),
      createBrotliDecompress(),
      createWriteStream(join(making, 'swiftshader.tar')),
    );
    execFileSync('tar', ['-xf', 'swiftshader.tar'], { cwd: making });
    await rename(making, folder).catch((error: Error) => {
      if (!existsSync(folder)) throw error; // another process was faster
    });
  } finally {
    await rm(making, { recursive: true, force: true });
  }
  return folder;
}
