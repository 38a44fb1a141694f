import { fileURLToPath } from 'node:url';

/** The folder of the forecaster that comes with the package. */
export const TINY_FORECASTER = fileURLToPath(new URL('../../models/forecaster-tiny', import.meta.url));
