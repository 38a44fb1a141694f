/** What is kept of one training run: a task, a model, a seed. One line of JSON each. */
export interface CellRecord {
  kind: 'cell';
  task: string;
  taskTitle: string;
  model: string;
  seed: number;
  status: 'done' | 'diverged' | 'failed';
  /** What went wrong, where something did. */
  message?: string;
  parameters: number;
  /** The parameters that were asked for. */
  budget: number;
  settings: Record<string, number | string | boolean>;
  engine: string;
  steps: number;
  tokens: number;
  trainSeconds: number;
  curve: { step: number; tokens: number; seconds: number; loss: number }[];
  accuracy?: { length: number; accuracy: number; scaled: number; count: number }[];
  scaledAccuracy?: number;
  chance?: number;
  /** Loss at `factor` times the training length. */
  text?: { factor: number; length: number; loss: number }[];
  cost?: {
    length: number;
    trainMsPerToken: number | null;
    decodeMsPerToken: number | null;
    stateBytes: number;
    programBytes: number;
  }[];
}
