/** The engine's contract, on the GPU. */
import { policyContract } from '../../policy/contract.testing.ts';
import { openPolicy } from './engine.ts';
import { tinyModel } from './tiny-model.testing.ts';

const model = tinyModel({ layers: 1 });

policyContract('the embedded engine on a GPU', {
  pieces: model.pieces,
  tolerance: 1e-4,
  open: () => openPolicy({ ...model, device: 'webgpu' }),
});
