import { button, h } from '../dom.ts';
import { decimal, integer } from '../format.ts';
import type { Page } from '../page.ts';
import type { TaskName } from '../worker/contests.ts';
import type { Looked } from '../worker/look.ts';
import type { Learnt } from '../worker/tasks.ts';

/** What can go through a model. */
export type LookSubject = 'text' | TaskName;

const ABOUT: Readonly<Record<TaskName, string>> = {
  parity:
    'After each bit the model says whether there was an odd number of ones so far. One bit of state is enough: see who keeps it.',
  recall:
    'Four keys, each with a value behind it; then the keys again in another order, and the model says the value of each. It takes a memory that is addressed.',
};

export interface LookTask {
  readonly element: HTMLElement;
  choose(subject: LookSubject): void;
  /** Tells one sequence from others. */
  seed(): number;
  show(looked: Looked): void;
  stop(): void;
}

/** The model of a task, which learns it on request; `changed` hears when it or the sequence is another. */
export function lookTask(page: Page, changed: () => void): LookTask {
  let task: TaskName = 'parity';
  let learning = false;
  let seed = 2;

  const about = h('p', { class: 'hint' });
  const state = h('p', { class: 'status', 'aria-live': 'polite' });
  const learn = button('Learn', () => (learning ? stop() : void start()), { class: 'primary' });
  const another = button('Another sequence', () => {
    seed++;
    changed();
  });
  const element = h(
    'div',
    { class: 'task', hidden: true },
    about,
    h('div', { class: 'transport' }, learn, another),
    state,
  );

  function setLearning(now: boolean): void {
    learning = now;
    learn.textContent = now ? 'Stop' : 'Learn';
    another.disabled = now;
  }

  async function start(): Promise<void> {
    setLearning(true);
    await page.attempt(() => page.client.ask('learnTask', task));
    setLearning(false);
    changed();
  }

  function stop(): void {
    if (learning) void page.client.ask('stopLearning', undefined);
  }

  function tell({ steps, loss, guessing }: Learnt): void {
    state.textContent =
      steps === 0
        ? 'This xLSTM[1:1] of width 32 has learnt nothing yet: its numbers are random.'
        : `This xLSTM[1:1] of width 32 has learnt for ${integer(steps)} steps: loss ${decimal(loss ?? Number.NaN)}, guessing ${decimal(guessing)}.`;
  }

  page.client.on('learning', (data) => tell(data as Learnt));
  page.whenLost(() => setLearning(false));

  return {
    element,
    choose(subject) {
      stop();
      element.hidden = subject === 'text';
      if (subject === 'text') return;
      task = subject;
      about.textContent = ABOUT[task];
    },
    seed: () => seed,
    show({ learnt }) {
      if (learnt) tell(learnt);
    },
    stop,
  };
}
