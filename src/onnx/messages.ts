import type { Shape } from '../compute/program/region.ts';
import { Message } from '../protobuf.ts';

/** The messages of onnx.proto3 that a model is made of; numbers of fields and types are those of that file. */

/** Of June 2022: onnxruntime reads it from 1.12 on. */
export const OPSET = 17;
const IR_VERSION = 8;

/** Types of elements and their numbers. */
export const elementTypes = { float: 1, int64: 7, bool: 9 } as const;
export type ElementType = keyof typeof elementTypes;

/** The kinds that are needed: a whole number, whole numbers, a graph. */
export type Attribute = number | readonly number[] | { readonly graph: Message };
export type Attributes = Readonly<Record<string, Attribute>>;

const ATTRIBUTE_INT = 2;
const ATTRIBUTE_GRAPH = 5;
const ATTRIBUTE_INTS = 7;

function attributeProto(name: string, value: Attribute): Message {
  const message = new Message().text(1, name);
  if (typeof value === 'number') return message.int(3, value).int(20, ATTRIBUTE_INT);
  if ('graph' in value) return message.message(6, value.graph).int(20, ATTRIBUTE_GRAPH);
  for (const number of value) message.int(8, number);
  return message.int(20, ATTRIBUTE_INTS);
}

export function nodeProto(
  type: string,
  inputs: readonly string[],
  outputs: readonly string[],
  attributes: Attributes,
): Message {
  const message = new Message();
  for (const input of inputs) message.text(1, input);
  for (const output of outputs) message.text(2, output);
  message.text(3, `${type}:${outputs[0]}`).text(4, type);
  for (const [name, value] of Object.entries(attributes)) message.message(5, attributeProto(name, value));
  return message;
}

const BYTES = { float: 4, int64: 8 } as const;

export function tensorProto(
  name: string,
  type: 'float' | 'int64',
  shape: Shape,
  values: ArrayLike<number>,
): Message {
  const raw = new Uint8Array(values.length * BYTES[type]);
  const view = new DataView(raw.buffer);
  for (let i = 0; i < values.length; i++) {
    if (type === 'float') view.setFloat32(4 * i, values[i], true);
    else view.setBigInt64(8 * i, BigInt(values[i]), true);
  }
  const message = new Message();
  for (const size of shape) message.int(1, size);
  return message.int(2, elementTypes[type]).text(8, name).data(9, raw);
}

/** What goes into a graph or comes out of it. A size that is a name is known when the model runs. */
export interface Port {
  readonly name: string;
  readonly type: ElementType;
  readonly shape: readonly (number | string)[];
}

function portProto({ name, type, shape }: Port): Message {
  const sizes = new Message();
  for (const size of shape) {
    const dimension = new Message();
    sizes.message(1, typeof size === 'number' ? dimension.int(1, size) : dimension.text(2, size));
  }
  const tensor = new Message().int(1, elementTypes[type]).message(2, sizes);
  return new Message().text(1, name).message(2, new Message().message(1, tensor));
}

export interface GraphParts {
  readonly name: string;
  readonly nodes: readonly Message[];
  readonly initializers: readonly Message[];
  readonly inputs: readonly Port[];
  readonly outputs: readonly Port[];
}

export function graphProto({ name, nodes, initializers, inputs, outputs }: GraphParts): Message {
  const message = new Message();
  for (const node of nodes) message.message(1, node);
  message.text(2, name);
  for (const initializer of initializers) message.message(5, initializer);
  for (const input of inputs) message.message(11, portProto(input));
  for (const output of outputs) message.message(12, portProto(output));
  return message;
}

export function modelProto(graph: Message, metadata: Readonly<Record<string, string>>): Message {
  const message = new Message()
    .int(1, IR_VERSION)
    .text(2, 'xlstm')
    .message(7, graph)
    .message(8, new Message().text(1, '').int(2, OPSET));
  for (const [key, value] of Object.entries(metadata))
    message.message(14, new Message().text(1, key).text(2, value));
  return message;
}
