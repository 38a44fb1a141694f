import type { Random } from '../../random.ts';
import { answered, defineTask, drawMany, FORMAL, numerals } from './task.ts';

const MODULUS = 5;
const PLUS = 1;
const MINUS = 2;
const TIMES = 3;
const EQUALS = 4;
const OPEN = 5;
const CLOSE = 6;
const UNKNOWN = 7;
const ANSWER = 8;

const OPERATORS = ['PAD', '+', '-', '*', '='];
const DIGITS = numerals(MODULUS);
const FIRST_DIGIT = 5;
const FIRST_DIGIT_OF_BRACKETS = 7;
const FIRST_DIGIT_OF_EQUATIONS = 9;

const modulo = (value: number): number => ((value % MODULUS) + MODULUS) % MODULUS;

/** Numbers and operators in turn, `*` before `+` and `−`; lengths are odd, as in the official experiments. */
export const modularArithmetic = defineTask({
  ...FORMAL,
  name: 'modular-arithmetic',
  title: 'Modular arithmetic without brackets',
  group: 'regular',
  symbols: [...OPERATORS, ...DIGITS],
  chanceAccuracy: 1 / MODULUS,
  definition: 'the value modulo 5 of a line of digits with +, - and *.',
  draw(random, length) {
    const terms = Math.floor((length - 1) / 2);
    const digits = drawMany(random, terms, MODULUS, 0);
    const operators = drawMany(random, terms - 1, 3, PLUS);
    const prompt = [FIRST_DIGIT + digits[0]];
    let sum = 0;
    let product = digits[0];
    for (let k = 1; k < terms; k++) {
      prompt.push(operators[k - 1], FIRST_DIGIT + digits[k]);
      if (operators[k - 1] === TIMES) {
        product = modulo(product * digits[k]);
      } else {
        sum += product;
        product = operators[k - 1] === PLUS ? digits[k] : -digits[k];
      }
    }
    prompt.push(EQUALS);
    return answered(prompt, [FIRST_DIGIT + modulo(sum + product)]);
  },
});

/** A digit of an expression. The value of the expression is linear in it, with this factor modulo 5. */
interface Leaf {
  readonly position: number;
  readonly digit: number;
  factor: number;
}

/**
 * Random expressions with brackets by the grammar of Delétang et al. (arXiv 2207.02098) in an exact number of tokens:
 * d, −d, (d), (−d), and for five tokens or more (E op E) with the rest shared out at random.
 */
class Expression {
  readonly tokens: number[] = [];
  readonly leaves: Leaf[] = [];
  readonly value: number;
  readonly #random: Random;
  readonly #firstDigit: number;

  constructor(random: Random, length: number, firstDigit: number) {
    this.#random = random;
    this.#firstDigit = firstDigit;
    this.value = this.#write(length);
  }

  #write(length: number): number {
    if (length <= 2) return this.#writeDigit(length === 2);
    this.tokens.push(OPEN);
    const value = length <= 4 ? this.#writeDigit(length === 4) : this.#writeOperation(length - 3);
    this.tokens.push(CLOSE);
    return value;
  }

  #writeDigit(negative: boolean): number {
    if (negative) this.tokens.push(MINUS);
    const digit = this.#random.integer(MODULUS);
    this.leaves.push({ position: this.tokens.length, digit, factor: negative ? MODULUS - 1 : 1 });
    this.tokens.push(this.#firstDigit + digit);
    return modulo(negative ? -digit : digit);
  }

  /** Two operands of `length` tokens together. */
  #writeOperation(length: number): number {
    const leftLength = 1 + this.#random.integer(length - 1);
    const operator = PLUS + this.#random.integer(3);
    const first = this.leaves.length;
    const left = this.#write(leftLength);
    this.tokens.push(operator);
    const middle = this.leaves.length;
    const right = this.#write(length - leftLength);
    if (operator === PLUS) return modulo(left + right);
    this.#scale(middle, this.leaves.length, operator === TIMES ? left : MODULUS - 1);
    if (operator === MINUS) return modulo(left - right);
    this.#scale(first, middle, right);
    return modulo(left * right);
  }

  #scale(from: number, to: number, factor: number): void {
    for (let k = from; k < to; k++) this.leaves[k].factor = modulo(this.leaves[k].factor * factor);
  }
}

/**
 * Products make 0 the value of a third of all deep expressions. The answer is drawn first, each equally likely, and
 * then expressions until one has it, so that the published chance level is what a constant answer scores.
 */
export const modularArithmeticBrackets = defineTask({
  ...FORMAL,
  name: 'modular-arithmetic-brackets',
  title: 'Modular arithmetic with brackets',
  group: 'context-free',
  symbols: [...OPERATORS, '(', ')', ...DIGITS],
  chanceAccuracy: 1 / MODULUS,
  definition: 'the value modulo 5 of an expression with brackets, +, - and *.',
  draw(random, length) {
    const value = random.integer(MODULUS);
    let expression: Expression;
    do {
      expression = new Expression(random, length - 2, FIRST_DIGIT_OF_BRACKETS);
    } while (expression.value !== value);
    return answered([...expression.tokens, EQUALS], [FIRST_DIGIT_OF_BRACKETS + value]);
  },
});

/**
 * One digit of an expression is hidden behind x. Only a digit that the value depends on is hidden, so the solution is
 * unique; it is drawn after the place, so each is equally likely.
 */
export const solveEquation = defineTask({
  ...FORMAL,
  name: 'solve-equation',
  title: 'Solve equation',
  group: 'context-free',
  symbols: [...OPERATORS, '(', ')', 'x', 'ACT', ...DIGITS],
  chanceAccuracy: 1 / MODULUS,
  shortest: 5,
  trainLengths: [5, 40],
  definition:
    'an expression with brackets in which x stands for a digit, and its value modulo 5; x is asked.',
  draw(random, length) {
    let expression: Expression;
    let candidates: Leaf[];
    do {
      expression = new Expression(random, length - 4, FIRST_DIGIT_OF_EQUATIONS);
      candidates = expression.leaves.filter((leaf) => leaf.factor !== 0);
    } while (candidates.length === 0);
    const { position, digit, factor } = candidates[random.integer(candidates.length)];
    const solution = random.integer(MODULUS);
    const value = modulo(expression.value + factor * (solution - digit));
    const left = expression.tokens;
    left[position] = UNKNOWN;
    const prompt = [...left, EQUALS, FIRST_DIGIT_OF_EQUATIONS + value, ANSWER];
    return answered(prompt, [FIRST_DIGIT_OF_EQUATIONS + solution]);
  },
});
