import { type ScalarFunction, scalarFunctionNames } from '../program/scalar_functions.ts';
import { type Elementwise, isElementwise, isNumber } from './elementwise.ts';
import type { Node } from './op.ts';
import type { Tensor } from './tensor.ts';

/** Elementwise nodes that become one call of the `map` kernel. */
export class Group {
  readonly rows: number;
  readonly cols: number;
  /** In order of execution. */
  readonly members = new Set<Elementwise>();
  /** Members whose value other calls read. */
  readonly stored = new Set<Elementwise>();
  open = true;
  /** Number of items scheduled when the group last grew. */
  touched = 0;

  constructor(rows: number, cols: number) {
    this.rows = rows;
    this.cols = cols;
  }

  /** Whether so many more members can join, each perhaps with numbers as operands. */
  hasRoom(members: number): boolean {
    return this.members.size + members <= MAX_MEMBERS;
  }

  fits(t: Tensor): boolean {
    return t.rows === this.rows && t.cols === this.cols;
  }
}

export type Item = Node | Group;

/**
 * Members of a group, at most. It bounds the registers of a map, and with them a thread's workspace: longer chains of
 * elementwise operations become several calls. The longest of the models here has 20.
 */
export const MAX_MEMBERS = 128;

/** A group that has not grown for so many items is scheduled, so that its inputs' memory is not held for long. */
const PATIENCE = 24;

/**
 * Orders the nodes for execution and fuses elementwise ones. A group stays open, and grows, until the first call that
 * reads one of its values. An elementwise value of the forward pass that no other kernel
 * reads is computed again in the backward pass rather than stored.
 */
export function fuse(nodes: readonly Node[], roots: ReadonlySet<Tensor>): Item[] {
  const items: Item[] = [];
  const home = new Map<Elementwise, Group>();
  let openGroups: Group[] = [];
  const read = otherReaders(nodes, roots);
  const materialised = new Set<Node>();

  const close = (group: Group): void => {
    if (!group.open) return;
    group.open = false;
    openGroups = openGroups.filter((g) => g !== group);
    items.push(group);
  };

  /** `backward`: the node is added for the backward pass, if need be computed a second time. */
  const addMember = (group: Group, node: Elementwise, backward: boolean): void => {
    for (const input of node.inputs) {
      const producer = input.node;
      if (!isElementwise(producer) || group.members.has(producer)) continue;
      if (isNumber(producer)) {
        group.members.add(producer);
        continue;
      }
      const owner = home.get(producer) as Group;
      const again = !producer.backward && backward && !owner.stored.has(producer) && group.fits(input);
      if (again && !read.has(producer) && group.members.size < MAX_MEMBERS) {
        addMember(group, producer, backward);
        continue;
      }
      owner.stored.add(producer);
      close(owner);
    }
    group.members.add(node);
  };

  for (const node of nodes) {
    if (!isElementwise(node)) {
      for (const input of Object.values(node.inputs)) {
        if (!isElementwise(input.node)) continue;
        if (isNumber(input.node)) {
          // A number that a kernel reads as an array: a group of its own.
          if (materialised.has(input.node)) continue;
          materialised.add(input.node);
          const group = new Group(1, 1);
          group.members.add(input.node);
          group.stored.add(input.node);
          items.push(group);
          continue;
        }
        const owner = home.get(input.node) as Group;
        owner.stored.add(input.node);
        close(owner);
      }
      if (node.op.overwrites) for (const group of [...openGroups]) close(group);
      items.push(node);
    } else if (!isNumber(node)) {
      const group = chooseGroup(node, openGroups, home);
      if (!openGroups.includes(group)) openGroups.push(group);
      addMember(group, node, node.backward);
      home.set(node, group);
      if (roots.has(node.outputs.y)) group.stored.add(node);
      group.touched = items.length;
    }
    for (const group of openGroups) if (items.length - group.touched > PATIENCE) close(group);
  }
  for (const group of [...openGroups]) close(group);
  return items;
}

/** Elementwise nodes that a kernel of another kind reads: their value is stored in any case. */
function otherReaders(nodes: readonly Node[], roots: ReadonlySet<Tensor>): Set<Node> {
  const read = new Set<Node>([...roots].map((t) => t.node));
  for (const node of nodes) {
    if (isElementwise(node)) continue;
    for (const input of Object.values(node.inputs)) read.add(input.node);
  }
  return read;
}

/** The open group to join: the ones that make its inputs, merged; else one that reads the same array; else a new one. */
function chooseGroup(node: Elementwise, openGroups: readonly Group[], home: Map<Elementwise, Group>): Group {
  const output = node.outputs.y;
  const candidates = new Set<Group>();
  for (const input of node.inputs) {
    if (!isElementwise(input.node)) continue;
    const owner = home.get(input.node);
    if (owner?.open && owner.fits(output) && owner.hasRoom(1)) candidates.add(owner);
  }
  if (candidates.size === 0) {
    const shares = (group: Group): boolean =>
      [...group.members].some((m) => m.inputs.some((t) => group.fits(t) && node.inputs.includes(t)));
    const neighbour = openGroups.find((g) => g.fits(output) && g.hasRoom(1) && shares(g));
    return neighbour ?? new Group(output.rows, output.cols);
  }
  const [first, ...others] = candidates;
  for (const other of others) {
    if (!first.hasRoom(other.members.size + 1)) continue;
    // Open groups do not depend on each other (a dependence would have closed one), so they can be joined.
    for (const member of other.members) {
      first.members.add(member);
      if (home.get(member) === other) home.set(member, first);
    }
    for (const member of other.stored) first.stored.add(member);
    other.members.clear();
    other.stored.clear();
    other.open = false;
    (openGroups as Group[]).splice(openGroups.indexOf(other), 1);
  }
  return first;
}

/** The map kernel's program for a group: what it reads, what it writes, and the steps over registers. */
export interface MapCode {
  readonly inputs: readonly Tensor[];
  readonly outputs: readonly Tensor[];
  readonly temporaries: number;
  readonly steps: readonly number[][];
}

/**
 * Compiles a group. `overlaps(output, input)` says that both are the same memory: then the output is written after the
 * last step that reads the input.
 */
export function compile(group: Group, overlaps: (output: Tensor, input: Tensor) => boolean): MapCode {
  const members = [...group.members];
  const inside = new Set<Node>(members);
  const inputs = [...new Set(members.flatMap((m) => m.inputs).filter((t) => !inside.has(t.node)))];
  const outputs = [...group.stored].map((m) => m.outputs.y);

  const lastRead = new Map<Tensor, number>();
  members.forEach((m, step) => {
    for (const t of m.inputs) lastRead.set(t, step);
  });
  const late = (output: Tensor, step: number): boolean =>
    inputs.some((t) => overlaps(output, t) && (lastRead.get(t) as number) > step);

  const register = new Map<Tensor, number>();
  inputs.forEach((t, i) => {
    register.set(t, i);
  });
  const firstTemporary = inputs.length + outputs.length;
  const free: number[] = [];
  let temporaries = 0;
  const steps: number[][] = [];
  const trailing: number[][] = [];
  const code = (fn: ScalarFunction): number => scalarFunctionNames.indexOf(fn);

  members.forEach((m, step) => {
    const output = m.outputs.y;
    const { fn, value } = m.attributes;
    const sources = m.inputs.map((t) => register.get(t) as number);
    const slot = outputs.indexOf(output);
    const postponed = slot >= 0 && late(output, step);
    let destination = inputs.length + slot;
    if (slot < 0 || postponed) destination = free.pop() ?? firstTemporary + temporaries++;
    if (postponed) trailing.push([code('copy'), inputs.length + slot, destination, 0, 0]);
    register.set(output, destination);
    if (fn === 'constant') steps.push([code(fn), destination, value, 0, 0]);
    else if (fn === 'uniform') steps.push([code(fn), destination, sources[0], value, 0]);
    else steps.push([code(fn), destination, sources[0], sources[1] ?? 0, sources[2] ?? 0]);
    // Registers of values read for the last time here are free from the next step on.
    for (const t of new Set(m.inputs)) {
      const r = register.get(t) as number;
      const isTemporary = r >= firstTemporary && !trailing.some((copy) => copy[2] === r);
      if (isTemporary && lastRead.get(t) === step) free.push(r);
    }
  });
  return { inputs, outputs, temporaries, steps: [...steps, ...trailing] };
}
