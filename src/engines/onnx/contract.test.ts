import { policyContract } from '../../policy/contract.testing.ts';
import { openPolicy } from './engine.ts';
import { tinyModel } from './tiny-model.testing.ts';

const model = tinyModel({ layers: 2 });

policyContract('the embedded engine', {
  pieces: model.pieces,
  tolerance: 1e-5,
  open: () => openPolicy({ ...model, threads: 2 }),
});
