/** What goes wrong between client and server, by script: each fault is met once, by the next request that it is meant for. */
import type { IncomingMessage, ServerResponse } from 'node:http';

export type FaultKind =
  /** The connection breaks before, or after, the request was carried out. */
  | { readonly kind: 'reset before' | 'reset after' }
  /** Carried out; the answer's headers come and its body never does, or half of it does. */
  | { readonly kind: 'stalled' | 'cut' }
  /** Carried out; half of a JSON text, or message, whole as an answer. */
  | { readonly kind: 'half JSON' }
  /** Not carried out; another answer. */
  | {
      readonly kind: 'status';
      readonly status: number;
      readonly body?: string;
      readonly headers?: Readonly<Record<string, string>>;
    }
  /** Carried out; the answer is changed. */
  | { readonly kind: 'changed'; readonly change: (answer: Record<string, unknown>) => unknown }
  /** The server dies, before or after the request was carried out, and forgets all but what was saved. */
  | { readonly kind: 'death before' | 'death after' };

export type Fault = FaultKind & {
  /** Name of the call, e.g. forward_backward; for retrieve_future that of the call whose result is polled, as "retrieve asample". */
  readonly call: string;
  /** So many requests of that name pass first; default 0. */
  readonly after?: number;
};

export class Faults {
  readonly #faults: { fault: Fault; passes: number }[] = [];

  add(...faults: readonly Fault[]): void {
    for (const fault of faults) this.#faults.push({ fault, passes: fault.after ?? 0 });
  }

  /** The fault that this request meets. */
  take(call: string): Fault | undefined {
    const index = this.#faults.findIndex(({ fault }) => fault.call === call);
    if (index < 0) return undefined;
    if (this.#faults[index]!.passes > 0) {
      this.#faults[index]!.passes -= 1;
      return undefined;
    }
    return this.#faults.splice(index, 1)[0]!.fault;
  }

  /** Those that nobody has met. */
  get left(): readonly Fault[] {
    return this.#faults.map(({ fault }) => fault);
  }
}

/** An answer as it is sent. */
export type Written = (answer: Record<string, unknown>) => { readonly type: string; readonly body: Buffer };

export const inJson: Written = (answer) => ({ type: 'application/json', body: Buffer.from(JSON.stringify(answer)) });

/** Sends an answer as the fault says. */
export function sendFaulty(
  fault: Fault,
  answer: Record<string, unknown>,
  request: IncomingMessage,
  response: ServerResponse,
  write: Written = inJson,
): void {
  const { type, body } = write((fault.kind === 'changed' ? fault.change(answer) : answer) as Record<string, unknown>);
  const head = { 'Content-Type': type, 'Content-Length': body.length };
  switch (fault.kind) {
    case 'changed':
      response.writeHead(200, head).end(body);
      return;
    case 'stalled':
      response.writeHead(200, head).flushHeaders();
      return;
    case 'cut':
      response.writeHead(200, head).write(body.subarray(0, body.length / 2), () => request.socket.destroy());
      return;
    case 'half JSON':
      response.writeHead(200, { 'Content-Type': type }).end(body.subarray(0, body.length / 2));
      return;
    default:
      request.socket.destroy();
  }
}
