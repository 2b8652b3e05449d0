/** From the run directories of an experiment to its figures and verdicts. */
import type { Summary } from './schema.ts';

/**
 * Reads the finished runs `folder/seed-*\/ARM` of an experiment. Runs that are not finished are listed as missing.
 * @throws UserError when `folder` holds no experiment, or no arm of it is finished
 */
export async function summarizeExperiment(folder: string): Promise<Summary> {
  throw new Error(`not written yet: ${folder}`);
}
