/** A profile in the contract's words. */
import type { Capabilities } from '../../policy/policy.ts';
import type { Profile } from './profiles.ts';
import { samplesAll } from './sampler.ts';

export function capabilitiesOf(profile: Profile, lora: boolean, vocabulary: number): Capabilities {
  return {
    deterministic: false,
    sampler: samplesAll(profile, vocabulary) ? profile.sampler : 'approximate',
    // A gradient on the server can be neither measured first nor dropped.
    dryRun: false,
    divergences: [],
    pointwiseClip: false,
    softTargets: profile.softTargets,
    topLogprobs: Math.min(profile.topLogprobs, vocabulary),
    frozen: profile.frozen === 'model' ? 'any' : profile.frozen,
    adapter: lora ? 'always' : 'never',
    optimizer: {
      // Clearing the moments leaves the step count, and with it another bias correction.
      fresh: profile.freshOptimizer === 'load' || profile.freshOptimizer === 'new-model',
      clip: profile.clip,
      betasPerStep: profile.betasPerStep,
      gradientNorm: profile.gradientNorm !== null,
    },
    // A LoRA that has been saved is gone on with in another model.
    checkpoints: profile.savesOnce && !lora ? 'one handle' : 'handles',
  };
}
