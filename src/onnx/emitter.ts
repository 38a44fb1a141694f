import type { Arrays, Named, Node, Tensor } from '../compute/graph/op.ts';
import type { Shape } from '../compute/program/region.ts';
import type { OnnxGraph } from './graph.ts';

/** What an emitter may ask of the translation. */
export interface Emitting {
  readonly graph: OnnxGraph;
  /** The name of a tensor's value. */
  of(t: Tensor): string;
  /** Likewise, in another shape of as many elements. */
  shaped(t: Tensor, shape: Shape): string;
  /** Refuses the node at hand. */
  refuse(reason: string): never;
}

/** Adds what an operation computes to the graph: the names of its outputs, those that can be had. */
export type Emitter = (node: Node, to: Emitting) => Readonly<Record<string, string>> | readonly string[];

interface Typed<I extends Arrays, A> {
  readonly inputs: I;
  readonly outputs: Named;
  readonly attributes: A;
}

/** An emitter of an operation whose inputs have names and whose attributes are known. */
export const emitter =
  <A>(
    emit: (
      node: Typed<Readonly<Record<string, Tensor>>, A>,
      to: Emitting,
    ) => Readonly<Record<string, string>>,
  ): Emitter =>
  (node, to) =>
    emit(node as unknown as Typed<Named, A>, to);

/** The same of an operation whose inputs are a list. */
export const listEmitter =
  <A>(emit: (node: Typed<readonly Tensor[], A>, to: Emitting) => Readonly<Record<string, string>>): Emitter =>
  (node, to) =>
    emit(node as unknown as Typed<readonly Tensor[], A>, to);

/** A scan that has one step to make, from a state on. */
export function requireOneStep(node: { readonly inputs: Named }, length: number, to: Emitting): void {
  if (length !== 1) to.refuse(`it makes ${length} steps at once, not one`);
  if (node.inputs.reset) to.refuse('documents may start within (reset)');
}

/** A state, or zeros where there is none. */
export const stateOr0 = (state: Tensor | undefined, shape: Shape, to: Emitting): string =>
  state ? to.of(state) : to.graph.zeros(shape);
