import { describe, expect, test } from 'vitest';
import { refusedSource } from './access.ts';

const loopback = { host: '127.0.0.1', address: '127.0.0.1', names: [] };
const everywhere = { host: '0.0.0.0', address: '0.0.0.0', names: ['Retriever.cluster.local'] };
const one = { host: 'box.lan', address: '192.168.1.7', names: [] };

describe('Host', () => {
  test.each([
    ...(['127.0.0.1', '127.0.0.1:8000', 'localhost:8000', 'LOCALHOST', '[::1]:8000', '127.1.2.3'] as const).map(
      (host) => [host, loopback] as const,
    ),
    ...(['10.0.0.3:8000', '[fe80::1]:8000', 'localhost', 'retriever.cluster.local:8000'] as const).map(
      (host) => [host, everywhere] as const,
    ),
    ...(['192.168.1.7', 'box.lan:80'] as const).map((host) => [host, one] as const),
  ])('%s is one of its own', (host, access) => {
    expect(refusedSource({ host }, access)).toBeUndefined();
  });

  test.each([
    ...[
      undefined,
      '',
      'elsewhere.example',
      'localhost.elsewhere.example',
      '127.0.0.1.elsewhere.example',
      '8.8.8.8',
    ].map((host) => [host, loopback] as const),
    ...['localhost@elsewhere.example', 'elsewhere.example:127', '2130706433', '[localhost]', 'localhost:80:90'].map(
      (host) => [host, loopback] as const,
    ),
    ...['elsewhere.example', 'cluster.local', '1.2.3'].map((host) => [host, everywhere] as const),
    ...['127.0.0.1', 'localhost', '192.168.1.8'].map((host) => [host, one] as const),
  ])('%s is not', (host, access) => {
    expect(refusedSource(host === undefined ? {} : { host }, access)).toMatch(/^Host: /);
  });
});

test('a page may ask only where it came from', () => {
  const host = 'localhost:8000';
  expect(refusedSource({ host, origin: 'http://localhost:8000' }, loopback)).toBeUndefined();
  for (const origin of ['http://localhost:3000', 'http://elsewhere.example', 'null', '', 'http://127.0.0.1:8000'])
    expect(refusedSource({ host, origin }, loopback)).toMatch(/^Origin: /);
});
