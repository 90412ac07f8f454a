import { setTimeout as delay } from 'node:timers/promises';
import type { EndEvent, RunEvent, StreamedEvent } from '../api/schemas/events.ts';
import { CliError, EXIT, type ExitCode } from './exit.ts';
import { readSse } from './sse.ts';

/** Type of a stream's last event; typed so that it cannot drift from the server's. */
const END_EVENT: typeof import('../api/schemas/events.ts').END_EVENT = 'end';

/** Problem documents of the API (RFC 9457), as far as the command line reads them. */
type Problem = {
  title?: string;
  detail?: string;
  problems?: { path: string; problem: string; fix: string }[];
  [member: string]: unknown;
};

export type RequestOptions = {
  body?: unknown;
  headers?: Record<string, string>;
  signal?: AbortSignal | undefined;
};

export type StreamOptions = {
  signal?: AbortSignal | undefined;
  /** Goes on after the event with this id. */
  after?: number | undefined;
  /** Told each time the connection is lost and tried again. */
  onReconnect?: ((reason: string) => void) | undefined;
  /** How long a lost connection is tried again before giving up. */
  patienceMs?: number | undefined;
};

export type StreamItem = { kind: 'event'; event: RunEvent } | ({ kind: 'end' } & EndEvent);

/** A client of the HTTP API. Every failure is a CliError with the exit code that belongs to it. */
export class ApiClient {
  readonly baseUrl: string;
  readonly #token: string | undefined;

  constructor(baseUrl: string, token: string | undefined) {
    this.baseUrl = baseUrl.replace(/\/+$/, '');
    this.#token = token;
  }

  async get<T>(path: string, options: RequestOptions = {}): Promise<T> {
    return (await (await this.request('GET', path, options)).json()) as T;
  }

  async post<T>(path: string, body: unknown, options: RequestOptions = {}): Promise<T> {
    return (await (await this.request('POST', path, { ...options, body })).json()) as T;
  }

  /** @throws CliError for an answer that is an error, and when there is no answer. */
  async request(method: string, path: string, options: RequestOptions = {}): Promise<Response> {
    const response = await this.#send(method, path, options);
    if (!response.ok) throw await refusedBy(response, `${method} ${this.baseUrl}${path}`);
    return response;
  }

  /**
   * Follows the events of a run until it is final, over as many connections as that takes: each one goes on after the
   * last event that arrived.
   * @throws CliError when the server refuses, or stays away for longer than the patience.
   */
  async *events(runId: string, options: StreamOptions = {}): AsyncGenerator<StreamItem> {
    const { signal, onReconnect, patienceMs = 120_000 } = options;
    let after = options.after ?? 0;
    let attempt = 0;
    let lostAt = Date.now();
    for (;;) {
      try {
        for await (const item of this.#connection(runId, after, signal)) {
          attempt = 0;
          if (item.kind === 'event') after = item.event.id;
          yield item;
          if (item.kind === 'end') return;
        }
        onReconnect?.('the server ended the stream');
      } catch (error) {
        signal?.throwIfAborted();
        const reason = passingFault(error);
        onReconnect?.(reason);
      }
      if (attempt === 0) lostAt = Date.now();
      if (Date.now() - lostAt > patienceMs) throw this.#unreachable(`lost the events of run ${runId}`);
      await delay(Math.min(100 * 2 ** attempt, 3_000), undefined, { ...(signal && { signal }) });
      attempt += 1;
    }
  }

  /** What one connection brings until it ends. */
  async *#connection(
    runId: string,
    after: number,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<StreamItem> {
    const response = await this.request('GET', `/api/runs/${encodeURIComponent(runId)}/events`, {
      signal,
      headers: { accept: 'text/event-stream', ...(after > 0 && { 'last-event-id': String(after) }) },
    });
    for await (const message of readSse(response.body ?? new ReadableStream())) {
      if (message.event === END_EVENT) {
        yield { kind: 'end', ...(JSON.parse(message.data) as EndEvent) };
      } else if (message.id !== undefined) {
        const data = JSON.parse(message.data) as StreamedEvent;
        yield { kind: 'event', event: { id: Number(message.id), type: message.event, ...data } };
      }
    }
  }

  async #send(method: string, path: string, options: RequestOptions): Promise<Response> {
    const { body, headers, signal } = options;
    try {
      return await fetch(`${this.baseUrl}${path}`, {
        method,
        headers: {
          accept: 'application/json',
          ...(this.#token && { authorization: `Bearer ${this.#token}` }),
          ...(body !== undefined && { 'content-type': 'application/json' }),
          ...headers,
        },
        ...(body !== undefined && { body: JSON.stringify(body) }),
        ...(signal && { signal }),
      });
    } catch (error) {
      signal?.throwIfAborted();
      throw this.#unreachable(`no answer from ${this.baseUrl}`, error);
    }
  }

  #unreachable(what: string, cause?: unknown): CliError {
    // fetch() says only "fetch failed"; the reason is underneath.
    const reason = cause instanceof Error && cause.cause instanceof Error ? cause.cause.message : undefined;
    return new CliError(reason ? `${what}: ${reason}` : what, {
      exitCode: EXIT.unreachable,
      next: 'start a server with `cutover dev` or `cutover api`, or name another with --url or CUTOVER_API_URL',
      cause,
    });
  }
}

/** In words, a fault that may pass; a refusal is thrown again. */
function passingFault(error: unknown): string {
  if (error instanceof CliError && error.exitCode !== EXIT.unreachable) throw error;
  return error instanceof Error ? error.message : String(error);
}

async function refusedBy(response: Response, request: string): Promise<CliError> {
  const problem = await readProblem(response);
  const details = problem.problems?.map(
    ({ path, problem: what, fix }) => `${path || '(document)'}: ${what}; ${fix}`,
  );
  const what = problem.detail ?? problem.title ?? `HTTP ${response.status}`;
  return new CliError(what, {
    exitCode: exitCodeOf(response.status),
    details: details?.filter((line) => !what.includes(line)),
    next: nextStep(response.status, request, problem),
    problem,
  });
}

async function readProblem(response: Response): Promise<Problem> {
  const text = await response.text().catch(() => '');
  try {
    const parsed: unknown = JSON.parse(text);
    if (parsed !== null && typeof parsed === 'object' && !Array.isArray(parsed)) return { ...parsed };
  } catch {
    // Not from the API itself: a proxy's page, for one. Its status is all that can be told.
  }
  return { status: response.status, title: `HTTP ${response.status} ${response.statusText}`.trim() };
}

function exitCodeOf(status: number): ExitCode {
  if (status === 401 || status === 403 || status === 409) return EXIT.refused;
  if (status === 404) return EXIT.notFound;
  if (status === 502 || status === 503 || status === 504) return EXIT.unreachable;
  return EXIT.failed;
}

function nextStep(status: number, request: string, problem: Problem): string | undefined {
  if (status === 401) return 'give a token that the server knows, with --token or CUTOVER_TOKEN';
  if (status === 403 && typeof problem.required === 'string') {
    return `act as somebody with role ${problem.required}: --token, or --as ${problem.required} on the dev stack`;
  }
  if (status === 404 && request.includes('/api/runs/')) return '`cutover status` lists the runs';
  if (status === 404) return '`cutover plan list` lists the plans, `cutover plan register <file>` adds one';
  if (status >= 500) return `the server's log says more; the request was ${request}`;
  return undefined;
}
