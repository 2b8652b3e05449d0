/** `forward` and `forward_backward` as requests: datums in the profile's encoding, not too many in one. */
import { ProtobufWriter } from '../../base/protobuf.ts';
import { type Datum, datumJson, datumMessage } from './datums.ts';
import type { Profile } from './profiles.ts';

export type LossName = 'cross_entropy' | 'importance_sampling';

export interface PassRequest {
  /** Name of the call. */
  readonly name: 'forward' | 'forward_backward';
  /** What the request holds beside model_id and seq_id: JSON without braces, or a message that those are added to. */
  readonly fields: string | ProtobufWriter;
  readonly datums: number;
}

/**
 * Requests in the order of the datums. In Protocol Buffers a forward is a forward_backward that is told to stop half-way.
 * @param datums at least one token to predict in each
 */
export function passRequests(
  encoding: Profile['encoding'],
  pass: PassRequest['name'],
  datums: readonly Datum[],
  loss: LossName,
): PassRequest[] {
  if (encoding === 'json')
    return grouped(datums.map(datumJson)).map((group) => ({
      name: pass,
      fields: `"${pass}_input":{"data":[${group.join(',')}],"loss_fn":"${loss}"}`,
      datums: group.length,
    }));
  return grouped(datums.map(datumMessage)).map((group) => ({
    name: 'forward_backward',
    fields: passMessage(group, loss, pass === 'forward'),
    datums: group.length,
  }));
}

/**
 * ForwardBackwardRequest { model_id string 1, seq_id int32 2, data Datum* 3, loss_fn string 4, loss_fn_config map⟨string, double⟩ 5,
 * forward_only bool 6 }
 */
function passMessage(datums: readonly Uint8Array[], loss: LossName, forwardOnly: boolean): ProtobufWriter {
  const message = new ProtobufWriter();
  for (const datum of datums) message.bytes(3, datum);
  message.bytes(4, loss);
  if (forwardOnly) message.integer(6, 1);
  return message;
}

const MOST_DATUMS = 128;
const MOST_BYTES = 4e6;

/** Datums by request: at most 128 and 4 MB; a larger one goes alone. Order is kept. */
export function grouped<Encoded extends string | Uint8Array>(datums: readonly Encoded[]): Encoded[][] {
  const requests: Encoded[][] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const datum of datums) {
    if (bytes + datum.length > MOST_BYTES || requests.at(-1)!.length === MOST_DATUMS) {
      requests.push([]);
      bytes = 0;
    }
    requests.at(-1)!.push(datum);
    bytes += datum.length;
  }
  return requests;
}
