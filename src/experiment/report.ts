/** report.html of an experiment. */
import type { Summary } from './schema.ts';

/** Summarises the experiment in `folder` and writes summary.json and report.html there. */
export async function writeExperimentReport(folder: string): Promise<Summary> {
  throw new Error(`not written yet: ${folder}`);
}
