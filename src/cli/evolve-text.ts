/** What `evolve` says in words: the estimate of a dry run, and where the time of a run went. */
import { byteSize } from '../base/bytes.ts';
import { clock } from '../base/clock.ts';
import type { RunEstimate } from '../evolve/estimate.ts';
import type { Timing } from '../evolve/results.ts';

export const NO_ESTIMATE = 'No estimate: this engine cannot train on a sample without changing the policy.\n';

/** @param mostMemory bytes that the run takes where every rollout is as long as the settings allow, as `doctor` counts them; null on a server */
export function estimateText(estimate: RunEstimate | null, mostMemory: number | null): string {
  if (estimate === null) return NO_ESTIMATE;
  const stages = estimate.stages.map(({ name, seconds }) => `  ${name.padEnd(20)}${clock(seconds).padStart(8)}`);
  return [
    'Estimate, from real rollouts on this machine (minutes:seconds)',
    ...stages,
    `  ${'all'.padEnd(20)}${clock(estimate.seconds).padStart(8)}`,
    `  ${estimate.rolloutsPerSecond.toFixed(1)} rollouts/s, ${estimate.trainedPerSecond.toFixed(1)} trained trajectories/s`,
    `  memory ${byteSize(estimate.peakMemory)} in this sample${mostMemory === null ? '' : `, at most ${byteSize(mostMemory)} (every rollout as long as the settings allow)`}${estimate.diskForCheckpoints === null ? '' : `, checkpoints on disk ${byteSize(estimate.diskForCheckpoints)}`}`,
    '',
  ].join('\n');
}

export function timingText(timing: Timing): string {
  const parts = [
    `sampling ${clock(timing.samplingSeconds)}`,
    `retrieval ${clock(timing.retrievalSeconds)}`,
    `training ${clock(timing.trainingSeconds)}`,
    `other ${clock(timing.otherSeconds)}`,
  ];
  const pace = timing.totalSeconds > 0 ? timing.trajectories / timing.totalSeconds : 0;
  return (
    `Time ${clock(timing.totalSeconds)}: ${parts.join(', ')}. ` +
    `${timing.trajectories.toLocaleString('en')} trajectories, ${pace.toFixed(1)} a second.\n`
  );
}
