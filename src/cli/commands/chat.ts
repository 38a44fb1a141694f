import { createInterface } from 'node:readline';
import { Command } from 'commander';
import type { ChatMessage } from '../../data/subword/chat.ts';
import { Conversation } from '../../generation/conversation.ts';
import { Chat } from '../chat.ts';
import { addEngineOptions, type EngineChoice, withEngine } from '../engine_options.ts';
import { addLoadingOptions, type LoadingOptions, loadTextModelBy } from '../loading_options.ts';
import { standardOutput } from '../output.ts';
import { integer, number, path, positive } from '../parse.ts';
import { readSession } from '../session_file.ts';

interface ChatOptions extends EngineChoice, LoadingOptions {
  readonly session?: string;
  readonly system?: string;
  readonly maxTokens: number;
  readonly temperature: number;
  readonly topP: number;
  readonly seed?: number;
}

export function chatCommand(): Command {
  const command = new Command('chat')
    .description('talk with a model; what it remembers can be kept in a file')
    .argument('<model>', 'a checkpoint or the folder of a run')
    .option(
      '--session <file>',
      'go on with the conversation of this file, if it is there, and write it after each answer',
      path,
    )
    .option('--system <text>', 'what the model is told before all else')
    .option('--max-tokens <n>', 'tokens of an answer at most', integer(1), 500)
    .option(
      '--temperature <t>',
      'below 1 safer, above 1 wilder; 0 always takes the likeliest token',
      number(0),
      0.8,
    )
    .option(
      '--top-p <p>',
      'draw from the likeliest tokens that reach this probability together',
      positive(1),
      0.95,
    )
    .option('--seed <n>', 'the same seed gives the same answers (default: others each time)', integer(0))
    .addHelpText(
      'after',
      `
In the conversation /help tells what else there is. A line that ends with \\ goes on in the next one; Ctrl-C ends an
answer, Ctrl-D the conversation.

Examples:
  xlstm chat models/assistant
  xlstm chat models/assistant --session mine.session --system "Answer in one sentence."`,
    );
  addLoadingOptions(command);
  return addEngineOptions(command).action((place: string, options: ChatOptions) =>
    withEngine(options, async (engine) => {
      const { model, tokenizer } = await loadTextModelBy(engine, place, options);
      const conversation = new Conversation(model, tokenizer);
      const saved = options.session === undefined ? undefined : await readSession(options.session);
      if (saved) await conversation.restore(saved, options.session);
      if (options.system !== undefined) conversation.system = options.system;
      const { maxTokens, temperature, topP, seed } = options;
      const chat = new Chat(conversation, standardOutput(), {
        answers: { maxTokens, temperature, topP, seed },
        file: options.session,
      });
      await converse(chat, conversation.messages);
    }),
  );
}

/** Lines from standard input until its end, each answered before the next one. */
async function converse(chat: Chat, said: readonly ChatMessage[]): Promise<void> {
  const terminal = process.stdin.isTTY === true && process.stdout.isTTY === true;
  const lines = createInterface({
    input: process.stdin,
    output: terminal ? process.stdout : undefined,
    terminal,
    prompt: '> ',
    // What was asked in earlier conversations of the file comes back with the arrow keys, too.
    history: said
      .filter(({ role }) => role === 'user')
      .map(({ content }) => content.replaceAll('\n', ' '))
      .reverse(),
  });
  const interrupt = (): void => {
    if (!chat.interrupt()) lines.close();
  };
  lines.on('SIGINT', interrupt);
  process.on('SIGINT', interrupt);
  try {
    if (terminal) {
      chat.show();
      lines.prompt();
    }
    for await (const line of lines) {
      if (!(await chat.take(line))) break;
      lines.setPrompt(chat.unfinished ? '. ' : '> ');
      if (terminal) lines.prompt();
    }
    if (!terminal && chat.unfinished) await chat.take('');
  } finally {
    process.off('SIGINT', interrupt);
    lines.close();
    if (terminal) process.stdout.write('\n'); // what follows starts a line
  }
}
