import type { ForecastCalls } from './worker/forecast.ts';
import type { LookCalls } from './worker/look.ts';
import type { QuestionCalls } from './worker/question.ts';
import type { TaskCalls } from './worker/tasks.ts';
import type { TrainCalls } from './worker/train.ts';
import type { WriteCalls } from './worker/write.ts';

/** What a page can ask its worker for, by name. */
export interface Calls extends TrainCalls, LookCalls, QuestionCalls, WriteCalls, TaskCalls, ForecastCalls {
  /** Says what is to compute, before anything has. */
  useEngine(order: EngineOrder): Promise<void>;
  /** Starts the engine where it has not, and says what computes. */
  engine(argument: undefined): Promise<EngineFacts>;
}

export const ENGINE_CHOICES = ['auto', 'webgpu', 'wasm'] as const;
/** auto: a graphics processor where there is one. */
export type EngineChoice = (typeof ENGINE_CHOICES)[number];

export interface EngineOrder {
  readonly choice: EngineChoice;
  /** Why the graphics processor is not to be tried again; undefined where nothing speaks against it. */
  readonly lost: string | undefined;
}

export interface EngineFacts {
  readonly name: string;
  readonly description: string;
  readonly threads: number;
  readonly isolated: boolean;
  /** Why no graphics processor computes; undefined where one does, or none was wanted. */
  readonly insteadOf: string | undefined;
}

/** From the page. */
export interface Request {
  readonly id: number;
  readonly call: string;
  readonly argument: unknown;
}

/** What is said of a failure: what happened, and what to do about it. */
export interface Failure {
  readonly message: string;
  readonly hint: string | undefined;
}

/** From the worker: an answer, or something that happened. */
export type Reply =
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly failure: Failure }
  | { readonly event: string; readonly data: unknown };
