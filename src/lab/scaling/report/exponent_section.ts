import { NOTHING } from '../../../format.ts';
import { type Section, table, text } from '../../arena/report/section.ts';
import { figures, words } from '../../arena/report/table.ts';
import { estimate, type Sampled } from '../bootstrap.ts';
import type { PowerLaw } from '../fit.ts';
import type { Analysis } from './analysis.ts';
import { withInterval } from './contest_section.ts';

/** arXiv 2510.02228: (A N^−α + B D^−β)^γ has these exponents of N and of D where one of the two is small. */
const PUBLISHED = [
  { cells: ['Transformer, published', '0.16 (0.64 · 0.25)', '0.16 (0.63 · 0.25)', '1.09', '0.047 to 0.053'] },
  { cells: ['xLSTM, published', '0.18 (0.71 · 0.26)', '0.17 (0.65 · 0.26)', '1.20', '0.046 to 0.047'] },
] as const;

/** The fitted laws beside those of the paper on scaling. */
export function exponentSection({ models }: Analysis): Section | undefined {
  const fitted = models.filter(({ surface, curves }) => surface || curves.flops);
  if (fitted.length === 0) return undefined;
  const number = (sampled: Sampled<PowerLaw> | undefined, of: (law: PowerLaw) => number): string =>
    sampled ? withInterval(estimate(sampled, of), 2) : NOTHING;
  return {
    id: 'laws',
    title: 'Scaling laws',
    blocks: [
      text(
        'L(N, D) = E + A N^−α + B D^−β and L(C) = E + K C^−γ, each with Huber’s loss of the errors of log L. An interval that goes ' +
          'from 0 far up says that the trainings do not tell. The published figures (arXiv 2510.02228) are of 80M to 7B parameters, another ' +
          'text and another vocabulary, in a form whose exponents are products; γ stands beside the slope of the loss over operations at a ' +
          'fixed ratio of tokens to parameters.',
      ),
      table({
        title: 'Exponents, with intervals',
        columns: [words('model'), ...['α (size)', 'β (data)', 'E', 'γ (operations)'].map(figures)],
        rows: [
          ...fitted.map(({ title, surface, curves }) => ({
            cells: [
              title,
              number(surface, ({ terms }) => terms[0].exponent),
              number(surface, ({ terms }) => terms[1].exponent),
              number(surface, ({ irreducible }) => irreducible),
              number(curves.flops, ({ terms }) => terms[0].exponent),
            ],
          })),
          ...PUBLISHED,
        ],
      }),
    ],
  };
}
