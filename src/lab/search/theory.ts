import type { ContestantName } from '../../models/baselines/contestants.ts';

/** What papers prove of sequences of any length: a model of fixed depth and precision can, cannot, or may need layers. */
export type Verdict = 'can' | 'cannot';

/** How the state of a layer goes on to the next step. */
type Recurrence = 'nonlinear' | 'diagonal' | 'delta' | 'reflecting' | 'attention';

const recurrences: Readonly<Record<ContestantName, Recurrence>> = {
  elman: 'nonlinear',
  gru: 'nonlinear',
  lstm: 'nonlinear',
  'lstm-block': 'nonlinear',
  transformer: 'attention',
  gpt: 'attention',
  mamba: 'diagonal',
  retnet: 'diagonal',
  'linear-attention': 'diagonal',
  'gated-deltanet[0:1]': 'delta',
  'gated-deltanet[-1:1]': 'reflecting',
  minlstm: 'diagonal',
  'xlstm[1:0]': 'diagonal',
  'xlstm[0:1]': 'nonlinear',
  'xlstm[1:1]': 'nonlinear',
  'xlstm[7:1]': 'nonlinear',
};

/** Tasks that ask for a state that no sum of what was read tells, and which reflections of two layers can track. */
const SOLVABLE = ['parity', 'cycle-navigation', 'modular-arithmetic', 's3'];
const UNSOLVABLE = ['a5', 's5'];

const reasons: Readonly<Record<Recurrence, string>> = {
  nonlinear: 'its gates see its state, so that it can be any finite automaton (Merrill et al. 2024)',
  diagonal: 'its state only fades, by factors from 0 to 1 (Grazzi et al. 2024)',
  delta: 'its state is multiplied by eigenvalues from 0 to 1 (Grazzi et al. 2024)',
  reflecting: 'eigenvalues of −1 to 1 reflect, and two layers of them rotate (Grazzi et al. 2024)',
  attention: 'its depth is fixed, and does not grow with the sequence (Merrill et al. 2024)',
};

/** Undefined where theory says nothing of a task or a model. */
export function theoryOf(
  task: string,
  model: string,
): { readonly verdict: Verdict; readonly reason: string } | undefined {
  const tracks = SOLVABLE.includes(task) || UNSOLVABLE.includes(task);
  const recurrence = recurrences[model as ContestantName] as Recurrence | undefined;
  if (!tracks || recurrence === undefined) return undefined;
  if (recurrence === 'reflecting' && UNSOLVABLE.includes(task)) {
    return { verdict: 'cannot', reason: 'it takes products of several reflections (Siems et al. 2025)' };
  }
  const can = recurrence === 'nonlinear' || recurrence === 'reflecting';
  return { verdict: can ? 'can' : 'cannot', reason: reasons[recurrence] };
}

/** What is known of the tasks of a group at any length, in a sentence. */
export const groupTheory: Readonly<Record<string, string>> = {
  'context-free':
    'Nested brackets and stacks take memory that grows with the sequence: beyond some length no recurrent state of fixed size ' +
    'holds it, and in Delétang et al. (2022) neither recurrent networks nor Transformers learned them without a stack or a tape.',
  'context-sensitive':
    'To repeat, sort or pair symbols of a long sequence takes memory that grows with it; in the xLSTM paper (Beck et al. 2024) ' +
    'no model learned Odds first, Repetition or Set beyond a score of 0.3.',
  'state tracking':
    'Products of A5 and S5 are complete for NC¹: models whose state only fades, and Transformers of fixed depth, cannot track ' +
    'them at any length (Merrill et al. 2024); recurrent gates that see the state can.',
};
