import type { Calls, Request } from '../protocol.ts';
import { engineFacts, useEngine } from './engine.ts';
import { failureOf } from './failure.ts';
import { forecastCalls } from './forecast.ts';
import { lookCalls } from './look.ts';
import { port } from './port.ts';
import { questionCalls } from './question.ts';
import { taskCalls } from './tasks.ts';
import { trainCalls } from './train.ts';
import { writeCalls } from './write.ts';

const calls: Calls = {
  engine: engineFacts,
  useEngine,
  ...trainCalls,
  ...lookCalls,
  ...questionCalls,
  ...writeCalls,
  ...taskCalls,
  ...forecastCalls,
};

type AnyCall = (argument: unknown) => Promise<unknown>;

port.onmessage = async ({ data: { id, call, argument } }: MessageEvent<Request>) => {
  try {
    const result = call === 'ping' ? true : await (calls[call as keyof Calls] as AnyCall)(argument);
    port.postMessage({ id, result });
  } catch (error) {
    port.postMessage({ id, failure: failureOf(error) });
  }
};
