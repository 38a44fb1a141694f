import { XlstmError } from '../../errors.ts';
import type { Expression, Member } from './expression.ts';
import { utf8Ranges } from './utf8.ts';

/** States of an expression, and of what is found of it while texts are read. */
const MOST_STATES = 100_000;
const MOST_FOUND = 20_000;

const UNKNOWN = -2;
/** Where no text goes on. */
export const DEAD = -1;

interface Edge {
  readonly first: number;
  readonly last: number;
  readonly to: number;
}

/** Reads texts byte by byte and knows which bytes may follow; states are numbers, the first is 0. */
export class Automaton {
  readonly #edges: Edge[][] = [];
  readonly #empty: number[][] = [];
  readonly #end: number;
  /** What may be meant after some bytes, as sets of states of the expression, and the set after each byte. */
  readonly #sets: (readonly number[])[] = [];
  readonly #next: Int32Array[] = [];
  readonly #found = new Map<string, number>();

  /** Throws a usage error for an expression of too many states. */
  constructor(expression: Expression) {
    this.#end = this.#add(expression, this.#state());
    this.#set([0]);
  }

  /** Whether a text may end in this state. */
  ends(state: number): boolean {
    return this.#sets[state].includes(this.#end);
  }

  /** Whether no byte can follow. */
  final(state: number): boolean {
    return this.#sets[state].every((each) => this.#edges[each].length === 0);
  }

  /** The state after a byte; DEAD where it cannot come here. */
  after(state: number, byte: number): number {
    const known = this.#next[state][byte];
    if (known !== UNKNOWN) return known;
    const to: number[] = [];
    let [low, high] = [0, 255]; // bytes after which it is the same
    for (const each of this.#sets[state]) {
      for (const edge of this.#edges[each]) {
        if (byte < edge.first) high = Math.min(high, edge.first - 1);
        else if (byte > edge.last) low = Math.max(low, edge.last + 1);
        else {
          to.push(edge.to);
          low = Math.max(low, edge.first);
          high = Math.min(high, edge.last);
        }
      }
    }
    const next = to.length === 0 ? DEAD : this.#set(to);
    this.#next[state].fill(next, low, high + 1);
    return next;
  }

  /** The set of these states and all that need no byte from there. */
  #set(from: readonly number[]): number {
    const all = new Set(from);
    for (const state of all) for (const to of this.#empty[state]) all.add(to);
    const states = [...all].sort((a, b) => a - b);
    const key = states.join();
    let id = this.#found.get(key);
    if (id === undefined) {
      id = this.#sets.length;
      if (id >= MOST_FOUND) throw tooLarge();
      this.#found.set(key, id);
      this.#sets.push(states);
      this.#next.push(new Int32Array(256).fill(UNKNOWN));
    }
    return id;
  }

  #state(): number {
    if (this.#edges.length >= MOST_STATES) throw tooLarge();
    this.#edges.push([]);
    this.#empty.push([]);
    return this.#edges.length - 1;
  }

  /** Adds an expression that begins in a state; returns the one in which it ends. */
  #add(expression: Expression, from: number): number {
    switch (expression.kind) {
      case 'sequence':
        return expression.parts.reduce((at, part) => this.#add(part, at), from);
      case 'either': {
        const end = this.#state();
        for (const part of expression.parts) {
          const start = this.#state();
          this.#empty[from].push(start);
          this.#empty[this.#add(part, start)].push(end);
        }
        return end;
      }
      case 'ranges': {
        const end = this.#state();
        for (const bytes of expression.ranges.flatMap(utf8Ranges)) {
          bytes.reduce((at, [first, last], i) => {
            const to = i === bytes.length - 1 ? end : this.#state();
            this.#edges[at].push({ first, last, to });
            return to;
          }, from);
        }
        return end;
      }
      case 'list': {
        const start = this.#state();
        this.#empty[from].push(start);
        const end = this.#add(expression.part, start);
        this.#empty[this.#add(expression.separator, end)].push(start);
        const after = this.#state();
        this.#empty[end].push(after);
        return after;
      }
      case 'members':
        return this.#addMembers(expression.members, expression.separator, from);
      case 'repeat': {
        const { part, least, most } = expression;
        let at = from;
        for (let i = 0; i < least; i++) at = this.#add(part, at);
        const end = this.#state();
        if (most === Number.POSITIVE_INFINITY) {
          const loop = this.#state();
          this.#empty[at].push(loop);
          this.#empty[this.#add(part, loop)].push(loop);
          this.#empty[loop].push(end);
          return end;
        }
        for (let i = least; i < most; i++) {
          this.#empty[at].push(end);
          at = this.#add(part, at);
        }
        this.#empty[at].push(end);
        return end;
      }
    }
  }

  /** Each part is added once, reached from where nothing is there yet and from where something is. */
  #addMembers(members: readonly Member[], separator: Expression, from: number): number {
    let nothing: number | undefined = from;
    let something: number | undefined;
    for (const { part, optional } of members) {
      const start = this.#state();
      if (nothing !== undefined) this.#empty[nothing].push(start);
      if (something !== undefined) this.#empty[this.#add(separator, something)].push(start);
      const there = this.#state();
      this.#empty[this.#add(part, start)].push(there);
      if (optional && something !== undefined) this.#empty[something].push(there);
      if (!optional) nothing = undefined;
      something = there;
    }
    const end = this.#state();
    for (const last of [nothing, something]) if (last !== undefined) this.#empty[last].push(end);
    return end;
  }
}

const tooLarge = (): XlstmError =>
  new XlstmError(
    'usage',
    `grammar: has more than ${MOST_STATES} states, or more than ${MOST_FOUND} ways to go on`,
    'Give one with smaller repetitions.',
  );
