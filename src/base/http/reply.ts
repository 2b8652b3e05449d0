/** Answers that are sent at once, and refusals. */
import type { IncomingMessage, ServerResponse } from 'node:http';

/** How long the rest of a refused request is passed over: a client that is cut off while it sends does not read. */
const REST_MILLISECONDS = 2000;

export function sendPage(response: ServerResponse, type: string, text: string): void {
  response.writeHead(200, { 'Content-Type': type, 'Content-Length': Buffer.byteLength(text) }).end(text);
}

/** Sends a status with a reason as JSON; an answer that has begun can only be broken off, which every client notices. */
export function sendRefusal(
  request: IncomingMessage,
  response: ServerResponse,
  status: number,
  reason: object,
  headers: Readonly<Record<string, string>> = {},
): void {
  if (response.headersSent || response.destroyed) return void response.destroy();
  if (!request.complete) {
    response.shouldKeepAlive = false;
    const timer = setTimeout(() => request.destroy(), REST_MILLISECONDS);
    request.once('close', () => clearTimeout(timer)).resume();
  }
  const text = JSON.stringify(reason);
  response
    .writeHead(status, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(text), ...headers })
    .end(text);
}
