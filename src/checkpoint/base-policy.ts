/** The policy that comes with the package: a model directory of the embedded world's language. */
import { fileURLToPath } from 'node:url';

export const BASE_POLICY = fileURLToPath(new URL('../../assets/base', import.meta.url));
