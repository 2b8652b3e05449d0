import { describe, expect, it } from 'vitest';
import { interpretPoll, parseObject } from './futures.ts';

const poll = (status: number, body: unknown) =>
  interpretPoll(status, typeof body === 'string' ? body : JSON.stringify(body));

describe('interpretPoll', () => {
  it.each([
    ['a result', 200, { loss_fn_outputs: [] }],
    ['a result with an empty error', 200, { type: 'optim_step', error: null }],
  ])('takes %s as the end', (_, status, body) => expect(poll(status, body)).toEqual({ kind: 'done', value: body }));

  it.each([
    ['408', 408, '', undefined],
    [
      'try_again with a queue',
      200,
      { type: 'try_again', queue_state: 'paused_capacity', queue_state_reason: 'full' },
      'paused_capacity: full',
    ],
    ['try_again without one', 200, { type: 'try_again' }, undefined],
    ['metadata alone', 200, { status: 'complete_metadata' }, undefined],
  ])('polls again after %s', (_, status, body, queue) => expect(poll(status, body)).toEqual({ kind: 'again', queue }));

  it.each([
    ['hosted and VeRL', 200, { error: 'bad data', category: 'user' }, 'bad data', undefined],
    [
      'hatchery',
      200,
      { type: 'request_failed', error: 'ValueError: no', category: 'user_error' },
      'ValueError: no',
      undefined,
    ],
    ['SkyRL', 400, { detail: 'load first' }, 'load first', 400],
    [
      'pydantic',
      422,
      { detail: [{ loc: ['body', 'data'], msg: 'missing', input: { secret: 1 } }] },
      'body.data: missing',
      422,
    ],
    ['OpenRL', 400, { type: 'RequestFailedResponse', error_message: 'boom' }, 'boom', 400],
    [
      'a status inside of a 200',
      200,
      { error: "HTTPException(status_code=409, detail='stale')" },
      "HTTPException(status_code=409, detail='stale')",
      409,
    ],
  ])('sees the failure of %s', (_, status, body, reason, code) =>
    expect(poll(status, body)).toEqual({ kind: 'failed', reason, status: code }),
  );

  it.each([
    ['410', 410, ''],
    ['404', 404, { detail: 'request_id not found' }],
    ['VeRL’s second time', 200, { error: 'future id 7 is unknown', seen_before: true }],
  ])('knows from %s that the result is lost', (_, status, body) =>
    expect(poll(status, body)).toEqual({ kind: 'gone' }),
  );

  it.each([
    ['429', 429, ''],
    ['502 with a page', 502, '<html>bad gateway</html>'],
    ['half a JSON', 200, '{"loss_fn_outputs": [{"logpro'],
    ['a list', 200, '[1]'],
  ])('takes %s as trouble of the poll alone', (_, status, body) =>
    expect(poll(status, body)).toMatchObject({ kind: 'trouble' }),
  );

  it('shows a traceback’s exception in one line, without control characters', () => {
    const error = 'Traceback (most recent call last):\n  File "x.py", line 1\nValueError: \u001b[31mred\u001b[0m';
    expect(poll(200, { error })).toMatchObject({ reason: 'ValueError:  [31mred [0m' });
  });
});

it('reads NaN and Infinity, which Python writes, as null', () => {
  expect(parseObject('{"a": NaN, "b": [-Infinity,1, NaN], "c": "NaN: -Infinity"}')).toEqual({
    a: null,
    b: [null, 1, null],
    c: 'NaN: -Infinity',
  });
});
