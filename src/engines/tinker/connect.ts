/** From an address to a session: the server is awaited, asked what it has, and told that it does not suit before anything is trained. */
import { UserError } from '../../base/errors.ts';
import { Caller, type CallerOptions } from './calls.ts';
import { inOneLine, TinkerFailure } from './failures.ts';
import { Waiting } from './patience.ts';
import type { Profile } from './profiles.ts';
import { Session } from './session.ts';
import { answerOf, answers } from './wire.ts';

export interface Connected {
  readonly caller: Caller;
  readonly session: Session;
}

/**
 * Waits for the server to be ready and opens a session.
 * @throws UserError that names setting, server and way out
 */
export async function connect(
  options: Omit<CallerOptions, 'profile'> & { readonly profile: Profile },
  { baseModel, key }: { readonly baseModel: string; readonly key: string | undefined },
): Promise<Connected> {
  const { profile, onNote } = options;
  if (profile.keyPrefix !== '' && !key?.startsWith(profile.keyPrefix))
    throw new UserError(
      `${options.http.url}: this server takes only keys that begin with "${profile.keyPrefix}", and ${key === undefined ? 'none is set' : 'the key does not'}`,
      {
        hint: `Set TINKER_API_KEY, or engine.keyFile; any key with that beginning will do where the server is your own.`,
      },
    );
  const caller = new Caller(options);
  await untilReady(caller, options);
  const found = await caller.read('/api/v1/get_server_capabilities');
  const { supported_models: models } = answerOf(
    answers.capabilities,
    found ?? {},
    caller.url,
    'get_server_capabilities',
  );
  const names = (models ?? []).flatMap(({ model_name, model_id }) => model_name ?? model_id ?? []);
  if (profile.listsModels && names.length > 0 && !names.includes(baseModel))
    throw new UserError(`engine.baseModel: ${caller.url} has no model ${baseModel}`, {
      hint: `It has: ${inOneLine(names.slice(0, 8).join(', '))}. Start it with the other model, or set engine.baseModel.`,
    });
  return { caller, session: await Session.open(caller, onNote) };
}

/** @throws TinkerFailure (unavailable) when the server is not ready in time */
async function untilReady(caller: Caller, { patience, closed, onNote }: CallerOptions): Promise<void> {
  const waiting = new Waiting(patience, closed);
  for (let told = false; ; told = true) {
    const answer = await caller.read('/api/v1/healthz');
    // No such page: older servers.
    if (answer === undefined) return;
    const { status } = answerOf(answers.health, answer, caller.url, 'healthz');
    if (status === 'ok' || status === 'ready') return;
    if (!told) onNote(`${caller.url} is not ready yet: ${inOneLine(status)}`);
    const tooLong = () =>
      new TinkerFailure('unavailable', `${caller.url} does not get ready: ${inOneLine(status)}`, {
        hint: 'Look at the server; its model may still be loading.',
      });
    await waiting.pause({ tooLong });
  }
}
