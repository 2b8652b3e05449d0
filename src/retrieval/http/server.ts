/**
 * Serves a retriever over HTTP in the format that existing trainers speak (wire.ts): POST /retrieve, GET /healthz, GET /metrics.
 * Whatever is sent, it answers with a status and a JSON reason, within a bounded memory, and goes on serving: every number
 * that a client chooses has its limit (service.ts; connections: base/http/listen.ts).
 */
import { type ListeningServer, type ListenOptions, listen } from '../../base/http/listen.ts';
import type { Retriever } from '../retriever.ts';
import { Service, type ServiceOptions } from './service.ts';
import { defaultLimits } from './wire.ts';

export type ServerOptions = ServiceOptions & ListenOptions;

export const defaultServerOptions: ServerOptions = {
  host: '127.0.0.1',
  port: 8000,
  names: [],
  limits: defaultLimits,
  maxBody: 16 * 2 ** 20,
  maxConnections: 1024,
  maxRequests: 1024,
  searchSeconds: 60,
};

/** @throws UserError when the address cannot be taken */
export function serveRetriever(retriever: Retriever, options: ServerOptions): Promise<ListeningServer> {
  return listen(options, (address) => {
    const service = new Service(retriever, options, address);
    return (request, response) => service.take(request, response);
  });
}
