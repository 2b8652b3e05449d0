import { policyContract } from './contract.testing.ts';
import { bigramPolicy } from './testing/bigram-policy.ts';

const pieces = [...'abcdefghijkl'];

policyContract('a bare engine', {
  pieces,
  tolerance: 1e-6,
  open: async () =>
    bigramPolicy({ pieces, contextLength: 24, logit: (previous, next) => Math.sin(3 * previous + 5 * next) }),
});
