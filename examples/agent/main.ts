// A search agent in an application: ask it, and see what it read. docs/using.md says what else there is.
import { openAgent } from 'search-e1';

const agent = await openAgent();
const { answer, searches, found } = await agent.ask("What is person firo fuzir's birthplace?");
for (const [i, { query }] of searches.entries())
  console.log(`${query} -> ${found[i]?.map(({ passage }) => passage.title).join(', ')}`);
console.log(answer);
await agent.close();
