import { spawnSync } from 'node:child_process';
import { expect, it } from 'vitest';
import { chooseEngine } from './choose.ts';
import { type DoctorReport, doctor } from './doctor.ts';
import { hasSoftwareGpu, softwareGpu } from './webgpu/testing/software_gpu.ts';

const library = new URL('../../../dist/index.js', import.meta.url).href;

/** What the doctor finds in a process of its own, where something is missing. */
function found(flags: readonly string[], env: NodeJS.ProcessEnv): DoctorReport {
  const script = `const { doctor } = await import(${JSON.stringify(library)}); console.log(JSON.stringify(await doctor()));`;
  const { stdout, stderr } = spawnSync(process.execPath, [...flags, '--input-type=module', '-e', script], {
    encoding: 'utf8',
    env: { ...process.env, ...env },
  });
  expect(stdout, stderr).not.toBe('');
  // Node itself warns where a flag goes against another one.
  if (flags.length === 0) expect(stderr).toBe('');
  return JSON.parse(stdout);
}

it('reports the engine that is taken, as it describes itself', async () => {
  const report = await doctor();
  expect(report.engines.map(({ name }) => name)).toEqual(['native', 'wasm', 'webgpu', 'reference']);
  const names = report.parts.map(({ name }) => name);
  expect(names.slice(0, 4)).toEqual(['koffi', 'bf16 products', 'relaxed SIMD', 'shared memory']);
  const { engine } = await chooseEngine('auto');
  expect(report.choice.engine).toBe(engine.name);
  expect(report.threads).toBe(engine.threads);
  if (engine.name === 'native') expect(engine.description).toContain(report.instructionSets[0]);
  await engine.close();
});

it.each<[string, string[], NodeJS.ProcessEnv, string, string, RegExp]>([
  ['no native library', [], { XLSTM_NATIVE_FOLDER: '/nowhere' }, 'wasm', 'native', /build/],
  ['no WebAssembly', ['--jitless'], {}, 'native', 'wasm', /--jitless/],
  ['neither', ['--jitless'], { XLSTM_NATIVE_FOLDER: '/nowhere' }, 'none', 'wasm', /--jitless/],
])(
  'where there is %s it says so, how to get it, and what is taken instead',
  async (_, flags, env, choice, missing, hint) => {
    const report = found(flags, env);
    const native = found([], {}).engines.find(({ name }) => name === 'native');
    if (choice === 'native' && !native?.present) return; // not built: nothing is left to be taken
    expect(report.choice.engine).toBe(choice);
    const finding = report.engines.find(({ name }) => name === missing);
    expect(finding).toMatchObject({ present: false, hint: expect.stringMatching(hint) });
    expect(report.engines.find(({ name }) => name === 'reference')?.present).toBe(true);
  },
);

it.runIf(hasSoftwareGpu)(
  'names the graphics processor, its limits and features, or what to install',
  async () => {
    const webgpu = ({ engines }: DoctorReport) => engines.find(({ name }) => name === 'webgpu');
    const there = found([], { ...(await softwareGpu()) });
    expect(webgpu(there)).toEqual({
      name: 'webgpu',
      present: true,
      detail: expect.stringMatching(/SwiftShader.*computed by the processor, far slower than native or wasm/),
    });
    expect(there.parts.slice(-4)).toMatchObject([
      {
        name: 'webgpu limits',
        detail: expect.stringMatching(/^buffers up to [\d,]+ MiB, \d+ of them a kernel/),
      },
      { name: 'timestamp-query', present: true },
      { name: 'subgroups', present: true },
      { name: 'subgroup matrices', present: false },
    ]);
    const none = found([], { VK_DRIVER_FILES: '/nowhere.json', LD_LIBRARY_PATH: '' });
    const lacks = 'WebGPU finds no graphics processor: Vulkan';
    const noDriver = { present: false, detail: `${lacks} has no driver` };
    const noLoader = {
      present: false,
      detail: `${lacks}'s loader, libvulkan.so.1, is not there`,
      hint: expect.stringContaining('libvulkan1'),
    };
    // The machine may have a loader of its own.
    expect(webgpu(none)).toMatchObject(webgpu(none)?.detail === noDriver.detail ? noDriver : noLoader);
    expect(none.parts).toHaveLength(4);
    const { LD_LIBRARY_PATH } = await softwareGpu();
    expect(webgpu(found([], { VK_DRIVER_FILES: '/nowhere.json', LD_LIBRARY_PATH }))).toMatchObject(noDriver);
  },
);
