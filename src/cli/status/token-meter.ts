/** Counts the tokens that a policy samples, for the live status. */
import type { Policy } from '../../policy/policy.ts';

export interface TokenMeter {
  /** The same policy; what it samples is counted. */
  readonly policy: Policy;
  /** Tokens sampled so far. */
  readonly tokens: () => number;
}

export function meterTokens(policy: Policy): TokenMeter {
  let tokens = 0;
  const sample: Policy['sample'] = async (...args) => {
    const result = await policy.sample(...args);
    tokens += result.ids.length;
    return result;
  };
  const metered = new Proxy(policy, {
    get(target, name) {
      if (name === 'sample') return sample;
      const value: unknown = Reflect.get(target, name, target);
      // Bound to the policy itself: its private fields are not the proxy's.
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
  return { policy: metered, tokens: () => tokens };
}
