#!/usr/bin/env node
import { existsSync } from 'node:fs';

const main = new URL('../dist/cli/main.js', import.meta.url);
if (!existsSync(main)) {
  process.stderr.write(
    'error: xlstm is not built yet (there is no dist/cli/main.js)\n  build it with "npm run build"\n',
  );
  process.exit(1);
}
// A reader such as "head" that has seen enough is no error.
process.stdout.on('error', (error) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit(0);
});
const { runCli } = await import(main.href);
process.exitCode = await runCli(process.argv.slice(2));
