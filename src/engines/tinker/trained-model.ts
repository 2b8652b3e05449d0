/**
 * One model on the server: its requests are numbered from 1 without gaps and posted one after the other, while their results
 * are waited for later, so that forward_backward and optim_step are under way together.
 */
import type { ProtobufWriter } from '../../base/protobuf.ts';
import type { CallClass, Caller, Pending } from './calls.ts';
import { TinkerFailure } from './failures.ts';
import { readPass } from './messages.ts';

/** What of its session a model needs. */
interface Owner {
  readonly caller: Caller;
  /** @throws when the session has ended */
  check(): void;
  /** The number of the next sampler of the session. */
  nextSampler(): number;
}

export class TrainedModel {
  readonly id: string;
  readonly session: Owner;
  #sent = 0;
  #order: Promise<unknown> = Promise.resolve();

  constructor(session: Owner, id: string) {
    this.session = session;
    this.id = id;
  }

  /**
   * Posts a request when those before it have been posted; resolves when the server has it.
   * @param fields of the body, as JSON without braces, or as a message, of whose result a message is asked for too; model_id and
   *   seq_id are added
   */
  begin(name: string, kind: CallClass, fields: string | ProtobufWriter, signal?: AbortSignal): Promise<Pending> {
    const posted = this.#order.then(() => {
      signal?.throwIfAborted();
      this.session.check();
      // A number is taken when the request is sent, not before: a gap would hold up all that follow.
      this.#sent += 1;
      if (typeof fields !== 'string') {
        fields.bytes(1, this.id);
        fields.integer(2, this.#sent);
        return this.session.caller.begin({ name, class: kind, body: fields.finish(), decode: readPass }, signal);
      }
      const rest = `"model_id":${JSON.stringify(this.id)},"seq_id":${this.#sent}`;
      const body = `{${fields === '' ? '' : `${fields},`}${rest}}`;
      return this.session.caller.begin({ name, class: kind, body }, signal);
    });
    this.#order = posted.catch(() => {});
    return posted;
  }

  /** Whether the server still has the model. */
  async exists(): Promise<boolean> {
    try {
      const body = JSON.stringify({ model_id: this.id, type: 'get_info' });
      await this.session.caller.run({ name: 'get_info', class: 'reading', body });
      return true;
    } catch (error) {
      if (error instanceof TinkerFailure && (error.status === 404 || error.status === 410)) return false;
      throw error;
    }
  }

  /** `begin` and its result. */
  async run(name: string, kind: CallClass, fields: object, signal?: AbortSignal): Promise<unknown> {
    const pending = await this.begin(name, kind, JSON.stringify({ ...fields, type: name }).slice(1, -1), signal);
    return pending.result(signal);
  }
}
