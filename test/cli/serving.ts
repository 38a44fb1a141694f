import type { Started } from './command.ts';

/** Waits for the line that says where a server answers. */
export async function url({ process, ended }: Started): Promise<string> {
  let told = '';
  const address = new Promise<string>((resolve) => {
    process.stdout?.on('data', (text) => {
      told += text;
      const found = /answers? at (\S+)\/v1/.exec(told);
      if (found) resolve(found[1]);
    });
  });
  const early = ended.then(({ stderr }) => {
    throw new Error(stderr);
  });
  return Promise.race([address, early]);
}
