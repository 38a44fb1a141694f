import { spawn } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import { bin, type Ended, TINY, workplace } from './command.ts';

const { path, xlstm } = workplace();

/** The command with lines on its standard input. */
function chat(lines: readonly string[], args: readonly string[] = []): Promise<Ended> {
  const command = ['chat', 'run', '--engine', 'reference', '--seed', '1', '--max-tokens', '6', ...args];
  const child = spawn(process.execPath, [bin, ...command], { cwd: path() });
  const out = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].on('data', (text) => {
      out[name] += text;
    });
  }
  child.stdin.end(lines.map((line) => `${line}\n`).join(''));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, ...out }));
  });
}

describe('xlstm chat and sessions of xlstm generate', { timeout: 120_000 }, () => {
  beforeAll(async () => {
    const { code, stderr } = await xlstm(['train', ...TINY, '--steps', '2', '--out', 'run']);
    expect(stderr.includes('rror') ? stderr : code).toBe(0);
  }, 120_000);

  it('answers line after line; what was said goes on from a file, as in one conversation', async () => {
    const whole = await chat(['The whale', 'swims']);
    expect(whole.code).toBe(0);
    const first = await chat(['The whale'], ['--session', 'a.session']);
    const second = await chat(['swims'], ['--session', 'a.session']);
    expect(first.stdout + second.stdout).toBe(whole.stdout);
    const loaded = await chat(['/load a.session', '/back', '/back', '/back', 'The whale']);
    expect(loaded.stdout).toBe(
      `> The whale\n${first.stdout}> swims\n${second.stdout}taken back\ntaken back\nnothing was said\n${first.stdout}`,
    );
  });

  it('obeys commands, and tells what is wrong with them', async () => {
    const { code, stdout, stderr } = await chat([
      ...[
        'The \\',
        'whale',
        '/memory',
        '/fork',
        '/reset',
        '/fork 1',
        '/save b.session',
        '/memory',
        '/system Be brief.',
      ],
      ...['/what', '/save', '/load none', '/load run', '/fork 3', '/exit', 'never read'],
    ]);
    expect(code).toBe(0);
    expect(stdout).toMatch(
      /tokens read, in .* whatever their number\n2 messages\nconversation 2 of 2\nforgotten\n/,
    );
    expect(stdout).toMatch(
      /conversation 1 of 2\nb.session: .*\n.* tokens read, .*\n2 messages\nthe model is told this\n$/,
    );
    for (const problem of [
      '/what: there is no such command',
      '/save: expected the name of a file, found none',
      'none: expected a file, found none',
      'run: expected a file, found a folder',
      '/fork: expected a number from 1 to 2, found 3',
    ]) {
      expect(stderr).toContain(problem);
    }
  });

  it('takes commands of several lines, and what the end of the input cuts off', async () => {
    const system = await chat(['/system Be \\', 'brief.', '/memory', '\\', '/not a command']);
    expect(system.stdout).toMatch(
      /^the model is told this\n0 tokens read, .*\n1 message, the first: Be\nbrief\.\n/,
    );
    expect(system.stderr).not.toContain('error');
    const whole = await chat(['The whale']);
    expect((await chat(['The whale\\'])).stdout).toBe(whole.stdout);
  });

  it('forgets what was taken back, in the file too; generate leaves the file of a conversation as it is', async () => {
    await chat(['The whale', '/save a', 'A secret', '/back', '/save b', '/reset', '/memory', '/save c']);
    expect(await readFile(path('b'))).toEqual(await readFile(path('a')));
    expect((await readFile(path('c'))).length).toBeLessThan((await readFile(path('a'))).length);
    const { code, stderr } = await xlstm(['generate', 'run', '--engine', 'reference', '--session', 'a']);
    expect([code, stderr.includes('xlstm chat MODEL --session FILE')]).toEqual([1, true]);
    expect(await readFile(path('a'))).toEqual(await readFile(path('b')));
  });

  it('generate writes only what a regular expression or a JSON Schema allows', async () => {
    const args = ['generate', 'run', '--engine', 'reference', '--prompt', 'The', '--json'];
    const phone = await xlstm([...args, '--regex', '\\d{3}-\\d{4}']);
    expect(JSON.parse(phone.stdout).text).toMatch(/^\d{3}-\d{4}$/);
    const schema = { type: 'object', properties: { ok: { type: 'boolean' } }, required: ['ok'] };
    await writeFile(path('schema.json'), JSON.stringify(schema));
    const json = await xlstm([...args, '--json-schema', 'schema.json']);
    expect(JSON.parse(JSON.parse(json.stdout).text)).toEqual({ ok: expect.any(Boolean) });
    await writeFile(path('schema.json'), '{"type":"date"}');
    const wrong = await xlstm([...args, '--json-schema', 'schema.json']);
    expect([wrong.code, wrong.stderr.includes('schema.type: expected string, number')]).toEqual([2, true]);
  });

  it('generate goes on where the file of a session says; a damaged file stays as it is', async () => {
    const args = ['generate', 'run', '--engine', 'reference', '--temperature', '0', '--json'];
    const text = async (...more: string[]): Promise<string> => {
      const { code, stdout, stderr } = await xlstm([...args, ...more]);
      expect(code === 0 ? '' : stderr).toBe('');
      return JSON.parse(stdout).text;
    };
    const whole = await text('--prompt', 'The', '--max-tokens', '12');
    const first = await text('--prompt', 'The', '--max-tokens', '5', '--session', 'g.session');
    expect(first + (await text('--max-tokens', '7', '--session', 'g.session'))).toBe(whole);
    await writeFile(path('g.session'), 'no session');
    const { code, stderr } = await xlstm([...args, '--session', 'g.session']);
    expect([code, stderr.includes('g.session')]).toEqual([1, true]);
    expect(await readFile(path('g.session'), 'utf8')).toBe('no session');
    const both = await xlstm([...args, '--session', 'g.session', '--message', 'a']);
    expect([both.code, both.stderr.includes('xlstm chat MODEL --session FILE')]).toEqual([2, true]);
  });
});
