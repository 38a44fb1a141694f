/**
 * Models as ONNX files, for other runtimes.
 *
 * @module xlstm/onnx
 */

export { exportOnnx, type OnnxOptions } from './onnx/export_onnx.ts';
