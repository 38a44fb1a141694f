import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Command } from 'commander';
import { findCompiler } from '../../compute/engines/native/compiler.ts';
import { loadNativeLibrary } from '../../compute/engines/native/engine.ts';
import { packageFolder } from '../../compute/engines/remedies.ts';
import { XlstmError } from '../../errors.ts';
import { standardOutput } from '../output.ts';

export function buildNativeCommand(): Command {
  return new Command('build-native')
    .description('compile the native library for this machine with its C++ compiler')
    .addHelpText(
      'after',
      `
For machines to which no package brings the library: xlstm doctor says. It takes a minute or two, and puts the
library into the installed package, from which --engine auto then takes it.`,
    )
    .action(async () => {
      if (process.platform === 'win32') {
        throw new XlstmError(
          'engine',
          'the native library is not built on Windows',
          'it comes as the package @xlstm/native-win32-x64; without it the wasm engine runs',
        );
      }
      const { present, detail, hint } = findCompiler();
      if (!present) throw new XlstmError('engine', `there is no C++ compiler: ${detail}`, hint);
      try {
        accessSync(packageFolder, constants.W_OK);
      } catch {
        throw new XlstmError(
          'engine',
          `the library goes into ${packageFolder}, which you may not write to`,
          'run the command as the user who installed the package, or install the package in a folder of your own',
        );
      }
      const output = standardOutput();
      output.line(`compiling with ${detail}`);
      const script = pathToFileURL(join(packageFolder, 'scripts', 'native.js')).href;
      const { buildNative }: { buildNative(): Promise<unknown> } = await import(script);
      await buildNative().catch((error: Error & { stderr?: string }) => {
        const said = (error.stderr || error.message).trim().split('\n').slice(0, 12).join('\n');
        throw new XlstmError('engine', `the compiler failed: ${said}`, 'name another one in CXX');
      });
      const { path, instructionSets } = await loadNativeLibrary();
      output.line(`${path}\nruns here: ${instructionSets.join(', ')}; --engine auto takes it`);
    });
}
