import { h, select } from './dom.ts';
import type { Page } from './page.ts';
import { ENGINE_CHOICES, type EngineChoice, type EngineFacts } from './protocol.ts';

const TEXTS: Readonly<Record<EngineChoice, string>> = {
  auto: 'the best there is',
  webgpu: 'graphics processor, WebGPU',
  wasm: 'processor, WebAssembly',
};
/** The page's service worker adds the headers that such a server does not send. */
const ONE_THREAD =
  'One thread: this server sends no headers for shared memory; loaded again, the page may have it all the same';
const KEY = 'xlstm-playground-engine';

/** Says what computes, and why it is not a graphics processor; another can be chosen. `changed` hears of that. */
export function engineChoice(page: Page, changed: () => void): HTMLElement {
  const said = h('p', { id: 'engine', 'aria-live': 'polite' }, 'The engine starts when it is needed.');
  const choice = remembered();
  page.client.compute({ choice, lost: undefined });

  async function show(): Promise<void> {
    said.textContent = 'The engine starts …';
    try {
      said.textContent = told(await page.client.ask('engine', undefined));
    } catch (error) {
      said.textContent = 'There is no engine: nothing can be computed here.';
      page.tell(error as Error & { readonly hint?: string });
    }
  }

  async function change(next: EngineChoice): Promise<void> {
    await page.attempt(async () => {
      const files = await page.client.ask('runFiles', undefined);
      remember(next);
      page.client.compute({ choice: next, lost: undefined });
      if (files) await page.client.ask('openRun', files);
    });
    await show();
    changed();
  }

  page.client.on('engineLost', () => void show());
  void show();
  const chooser = select(
    ENGINE_CHOICES.map((value) => ({ value, text: TEXTS[value] })),
    choice,
    (value) => void change(value as EngineChoice),
  );
  chooser.id = 'engine-choice';
  return h('div', { class: 'engine' }, h('label', { for: chooser.id }, 'Compute with'), chooser, said);
}

function told({ description, isolated, insteadOf, name }: EngineFacts): string {
  const threads = isolated || name === 'webgpu' ? '' : `. ${ONE_THREAD}`;
  const why = insteadOf === undefined ? '' : `. No graphics processor: ${insteadOf}`;
  return `Computing here, in this browser: ${description}${threads}${why}.`;
}

function remembered(): EngineChoice {
  try {
    const kept = localStorage.getItem(KEY);
    return ENGINE_CHOICES.find((choice) => choice === kept) ?? 'auto';
  } catch {
    return 'auto';
  }
}

/** In a browser that keeps nothing the choice is that of this visit. */
function remember(choice: EngineChoice): void {
  try {
    localStorage.setItem(KEY, choice);
  } catch {}
}
