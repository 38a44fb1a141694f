import { execFileSync } from 'node:child_process';
import { createReadStream, createWriteStream, existsSync } from 'node:fs';
import { chmod, cp, mkdir, mkdtemp, readFile, rename, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import { createBrotliDecompress } from 'node:zlib';
import { type Browser, chromium } from 'playwright-core';
import { softwareGpu } from '../../src/compute/engines/webgpu/testing/software_gpu.ts';

/** The package holds binaries for this platform alone. */
export const hasChromium = process.platform === 'linux' && process.arch === 'x64';

const cache = fileURLToPath(new URL('../../.browser/', import.meta.url));

/** Gives pages WebGPU, computed by SwiftShader. */
const gpuFlags = [
  '--enable-unsafe-webgpu',
  '--use-webgpu-adapter=swiftshader',
  '--enable-unsafe-swiftshader',
  '--use-angle=swiftshader',
  // Compiling takes it seconds a kernel otherwise; the engine does without in Node too.
  '--enable-dawn-features=disable_workgroup_init',
];

/** By default Playwright has pages in the background computed like others. */
const unlikeUsers = [
  '--disable-background-timer-throttling',
  '--disable-backgrounding-occluded-windows',
  '--disable-renderer-backgrounding',
];

export interface LaunchOptions {
  /** Whether pages have WebGPU, computed in software. Default: no. */
  readonly gpu?: boolean;
  /** A port at which the browser takes further connections; pages in the background then are as people's. */
  readonly debugPort?: number;
}

/** Starts the headless Chromium of the package @sparticuz/chromium. */
export async function launchChromium({ gpu = false, debugPort }: LaunchOptions = {}): Promise<Browser> {
  const folder = await unpacked();
  if (gpu) {
    // Chromium looks for it beside itself.
    const { VK_DRIVER_FILES } = await softwareGpu();
    await cp(dirname(VK_DRIVER_FILES), folder, { recursive: true, force: false });
  }
  return chromium.launch({
    executablePath: join(folder, 'chromium'),
    args: [
      '--no-sandbox',
      ...(gpu ? gpuFlags : []),
      ...(debugPort === undefined ? [] : [`--remote-debugging-port=${debugPort}`]),
    ],
    ignoreDefaultArgs: [...(gpu ? ['--disable-gpu'] : []), ...(debugPort === undefined ? [] : unlikeUsers)],
    // Shared libraries that a bare machine lacks; those of the machine go first.
    env: {
      ...process.env,
      LD_LIBRARY_PATH: [process.env.LD_LIBRARY_PATH, `${folder}/lib`].filter(Boolean).join(':'),
    },
  });
}

/** The folder of the unpacked browser, which the first call fills; it takes 190 MB. */
async function unpacked(): Promise<string> {
  const packed = dirname(dirname(dirname(createRequire(import.meta.url).resolve('@sparticuz/chromium'))));
  const { version } = JSON.parse(await readFile(join(packed, 'package.json'), 'utf8'));
  const folder = join(cache, `chromium-${version}`);
  if (existsSync(folder)) return folder;
  await mkdir(cache, { recursive: true });
  const making = await mkdtemp(join(cache, 'unpacking-'));
  try {
    await decompress(join(packed, 'bin/chromium.br'), join(making, 'chromium'));
    await chmod(join(making, 'chromium'), 0o755);
    await decompress(join(packed, 'bin/al2023.tar.br'), join(making, 'libraries.tar'));
    execFileSync('tar', ['-xf', 'libraries.tar'], { cwd: making });
    await rename(making, folder);
  } finally {
    await rm(making, { recursive: true, force: true });
  }
  return folder;
}

const decompress = (from: string, to: string): Promise<void> =>
  pipeline(createReadStream(from), createBrotliDecompress(), createWriteStream(to));
