/**
 * Serves a model that is no model, on loopback, to try `search-e1 evaluate` and `search-e1 ask` without one: it searches the
 * question once and answers with the title of the first passage.
 *
 *   npx node examples/scripted-model/serve.ts
 */
import { titleReader } from '../../src/baselines/testing/title-reader.ts';
import { scriptedServer } from '../../src/engines/openai/testing/scripted-server.ts';

const { url } = await scriptedServer(titleReader);
console.log(`${url}#scripted`);
