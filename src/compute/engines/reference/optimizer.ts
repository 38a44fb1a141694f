import type { Operands } from './operands.ts';

export function adamw(args: Operands<'adamw'>): void {
  const { beta1, beta2, epsilon, weightDecay, gradients, parameters, firstMoment, secondMoment } = args;
  const [learningRate, factor, firstCorrection, secondCorrection] = args.schedule;
  for (let i = 0; i < args.count; i++) {
    const g = gradients[i] * factor;
    firstMoment[i] = beta1 * firstMoment[i] + (1 - beta1) * g;
    secondMoment[i] = beta2 * secondMoment[i] + (1 - beta2) * g * g;
    const step = firstMoment[i] / firstCorrection / (Math.sqrt(secondMoment[i] / secondCorrection) + epsilon);
    parameters[i] -= learningRate * (step + weightDecay * parameters[i]);
  }
}
