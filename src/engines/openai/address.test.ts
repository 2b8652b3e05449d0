import { describe, expect, it } from 'vitest';
import { isAddress, parseAddress } from './address.ts';
import { apiKeyFor } from './api-key.ts';

describe('the address of a served model', () => {
  it.each([
    ['http://127.0.0.1:8000/v1#qwen', 'http://127.0.0.1:8000/v1', 'qwen'],
    ['http://127.0.0.1:8000', 'http://127.0.0.1:8000/v1', undefined],
    ['https://host.example/openai/v1/#Qwen/Qwen2.5-3B', 'https://host.example/openai/v1', 'Qwen/Qwen2.5-3B'],
    ['http://localhost:11434/v1#qwen2.5:3b', 'http://localhost:11434/v1', 'qwen2.5:3b'],
    ['http://host/v1/chat/completions#m', 'http://host/v1', 'm'],
    ['http://host/v1/completions/', 'http://host/v1', undefined],
  ])('reads %s', (spec, url, model) => {
    expect(parseAddress(spec)).toEqual({ url, model });
  });

  it.each([
    ['localhost:8000', /not the address of a server/],
    ['http://', /not the address of a server/],
    ['http://me:secret@host/v1', /^http:\/\/host: an address must not hold a password/],
    ['http://host/v1?api-version=1', /is not supported/],
  ])('refuses %s', (spec, message) => {
    expect(() => parseAddress(spec)).toThrow(message);
  });

  it('is told from a directory', () => {
    expect(['http://x', 'HTTPS://x', 'runs/http', 'hf:a/b'].map(isAddress)).toEqual([true, true, false, false]);
  });
});

describe('the API key', () => {
  const environment = { OPENAI_API_KEY: 'usual', OTHER: 'other', EMPTY: '' };

  it('comes from the environment, the usual variable only where nobody can listen', () => {
    const key = (url: string, variable?: string) => apiKeyFor(url, variable, environment);
    expect(key('https://host/v1')).toBe('usual');
    expect(key('http://localhost:1/v1')).toBe('usual');
    expect(key('http://127.0.0.1:1/v1')).toBe('usual');
    expect(key('http://host/v1')).toBeUndefined();
    expect(key('http://host/v1', 'OTHER')).toBe('other');
    expect(apiKeyFor('https://host/v1', undefined, {})).toBeUndefined();
    expect(() => key('https://host/v1', 'EMPTY')).toThrow(/--api-key-env EMPTY: this variable is not set/);
  });
});
