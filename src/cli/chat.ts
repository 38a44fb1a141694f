import { writeFileAtomic } from '../checkpoints/files.ts';
import { XlstmError } from '../errors.ts';
import { formatBytes, formatInteger } from '../format.ts';
import type { AnswerOptions, Conversation } from '../generation/conversation.ts';
import { errorText } from './error_text.ts';
import type { Output } from './output.ts';
import { readSession } from './session_file.ts';
import { WordWrap, wrapped } from './ui/word_wrap.ts';

/** Where what a command does is told. */
const MEANING = 15;

const COMMANDS = `/save FILE     write the conversation to a file
/load FILE     go on with the conversation of a file
/fork          go on in a copy; /fork N goes to the N-th of them
/back          take the last message and its answer back
/reset         forget what was said
/system TEXT   tell the model something before all else; without a text: nothing
/memory        what the model remembers
/exit          the end, as Ctrl-D`;

const KEYS = 'A line that ends with \\ goes on in the next one. Ctrl-C ends an answer.';

/** Without the controls that a model makes up: a terminal would obey them. */
const harmless = (text: string): string => text.replaceAll(/(?![\n\t])\p{Cc}/gu, '\uFFFD');

/** A conversation in lines: what a person says, and commands that begin with a slash. */
export class Chat {
  readonly #output: Output;
  readonly #answers: AnswerOptions;
  readonly #file: string | undefined;
  readonly #branches: Conversation[];
  #at = 0;
  #lines: string[] = [];
  #stop: AbortController | undefined;

  /** `file`: where the conversation is written after each answer. */
  constructor(
    conversation: Conversation,
    output: Output,
    { answers, file }: { readonly answers: AnswerOptions; readonly file: string | undefined },
  ) {
    this.#branches = [conversation];
    this.#output = output;
    this.#answers = answers;
    this.#file = file;
  }

  /** Whether the message goes on in the next line. */
  get unfinished(): boolean {
    return this.#lines.length > 0;
  }

  /** Takes a line and answers; false where it asks for the end. Errors of what was asked are told, not thrown. */
  async take(line: string): Promise<boolean> {
    if (line.endsWith('\\')) {
      this.#lines.push(line.slice(0, -1));
      return true;
    }
    const lines = [...this.#lines, line];
    const text = lines.join('\n').trim();
    // A message that begins with a slash begins with an empty line.
    const command = lines[0].trim() === '' ? null : /^\/(\S*)\s*(.*)$/s.exec(text);
    this.#lines = [];
    if (text === '') return true;
    if (command?.[1] === 'exit') return false;
    try {
      if (command) await this.#obey(command[1], command[2]);
      else await this.#answer(text);
    } catch (error) {
      if (!(error instanceof XlstmError)) throw error;
      process.stderr.write(
        wrapped(errorText(error).text, process.stderr.columns ?? Number.POSITIVE_INFINITY, 2),
      );
    }
    return true;
  }

  /** Ends the answer that is written; false where there is none. */
  interrupt(): boolean {
    this.#stop?.abort();
    return this.#stop !== undefined;
  }

  /** Tells what was said so far. */
  show(): void {
    for (const { role, content } of this.#conversation.messages) {
      if (role === 'system') continue;
      this.#output.line(wrapped(`${role === 'user' ? '> ' : ''}${harmless(content)}`, this.#width));
    }
  }

  /** Of a terminal as it is now. */
  get #width(): number {
    return process.stdout.columns ?? this.#output.width;
  }

  get #conversation(): Conversation {
    return this.#branches[this.#at];
  }

  async #answer(text: string): Promise<void> {
    const stop = new AbortController();
    this.#stop = stop;
    const wrap = new WordWrap(
      () => this.#width,
      (part) => this.#output.text(part),
    );
    try {
      for await (const piece of this.#conversation.say(text, { ...this.#answers, signal: stop.signal })) {
        wrap.push(harmless(piece));
      }
    } catch (error) {
      if (!stop.signal.aborted) throw error;
    } finally {
      this.#stop = undefined;
      wrap.flush();
      this.#output.line();
    }
    if (this.#file !== undefined) await this.#save(this.#file);
  }

  async #obey(command: string, argument: string): Promise<void> {
    switch (command) {
      case 'help':
        this.#output.line(wrapped(COMMANDS, this.#width, MEANING));
        return this.#output.line(`\n${wrapped(KEYS, this.#width)}`);
      case 'save': {
        const bytes = await this.#save(path(command, argument));
        return this.#tell(`${argument}: ${formatBytes(bytes)}`);
      }
      case 'load': {
        const bytes = await readSession(path(command, argument));
        if (!bytes) throw new XlstmError('data', `${argument}: expected a file, found none`);
        await this.#conversation.restore(bytes, argument);
        return this.show();
      }
      case 'fork':
        return argument === '' ? this.#fork() : this.#go(argument);
      case 'back':
        return this.#tell(this.#conversation.back() ? 'taken back' : 'nothing was said');
      case 'reset':
        this.#conversation.reset();
        return this.#tell('forgotten');
      case 'system':
        this.#conversation.system = argument === '' ? undefined : argument;
        return this.#tell(argument === '' ? 'the model is told nothing' : 'the model is told this');
      case 'memory':
        return this.#memory();
      default:
        throw new XlstmError(
          'usage',
          `/${command}: there is no such command`,
          '/help tells those there are.',
        );
    }
  }

  async #save(file: string): Promise<number> {
    const bytes = await this.#conversation.save();
    await writeFileAtomic(file, bytes);
    return bytes.length;
  }

  async #fork(): Promise<void> {
    this.#branches.push(await this.#conversation.fork());
    this.#at = this.#branches.length - 1;
    this.#tell(`conversation ${this.#at + 1} of ${this.#branches.length}`);
  }

  #go(argument: string): void {
    const number = Number(argument);
    if (!Number.isInteger(number) || number < 1 || number > this.#branches.length) {
      throw new XlstmError(
        'usage',
        `/fork: expected a number from 1 to ${this.#branches.length}, found ${argument}`,
      );
    }
    this.#at = number - 1;
    this.#tell(`conversation ${number} of ${this.#branches.length}`);
  }

  #memory(): void {
    const { tokensSeen, stateBytes, messages, system } = this.#conversation;
    this.#tell(
      `${formatInteger(tokensSeen)} tokens read, in ${formatBytes(stateBytes)} whatever their number`,
    );
    this.#tell(
      `${messages.length} ${messages.length === 1 ? 'message' : 'messages'}${system === undefined ? '' : `, the first: ${harmless(system)}`}`,
    );
  }

  #tell(text: string): void {
    this.#output.line(this.#output.style.dim(wrapped(text, this.#width)));
  }
}

function path(command: string, argument: string): string {
  if (argument !== '') return argument;
  throw new XlstmError('usage', `/${command}: expected the name of a file, found none`);
}
