import type { Measurement } from '../../domain/gate-verdict.ts';

export type HttpProbe = {
  url: string;
  /** Where the number is in the JSON answer: names and positions, with dots between them. */
  path?: string | undefined;
};

/** An answer with one number in it is shorter. */
const MOST_BYTES = 1_000_000;

/**
 * Measures by an HTTP GET: the number at the path of the JSON answer, or without a path the milliseconds until the whole
 * answer was there. Whatever goes wrong is an error measurement; only an abort is thrown. Redirects are not followed: what is
 * asked is what the reviewed plan says.
 */
export async function measureHttp(
  { url, path }: HttpProbe,
  { timeoutMs, signal }: { timeoutMs: number; signal?: AbortSignal | undefined },
): Promise<Measurement> {
  const timeout = AbortSignal.timeout(timeoutMs);
  try {
    const started = performance.now();
    const answer = await get(url, signal ? AbortSignal.any([signal, timeout]) : timeout);
    const ms = performance.now() - started;
    return path === undefined ? { kind: 'value', value: ms } : numberAt(path, answer);
  } catch (error) {
    signal?.throwIfAborted();
    const message = timeout.aborted ? `no answer within ${timeoutMs / 1_000} s` : causeOf(error);
    return { kind: 'error', message: `${withoutSecrets(url)}: ${message}` };
  }
}

async function get(url: string, signal: AbortSignal): Promise<string> {
  const { protocol, username, password } = new URL(url);
  if (!/^https?:$/.test(protocol)) throw new Error('only http and https are asked');
  // fetch refuses them as well, with a text that quotes them.
  if (username + password !== '') throw new Error('a URL with a user and password is not asked');
  const response = await fetch(url, { redirect: 'manual', signal, headers: { accept: 'application/json' } });
  if (!response.ok) {
    await response.body?.cancel();
    const redirect = response.status >= 300 && response.status < 400;
    throw new Error(
      `it answered ${response.status}${redirect ? ', and redirects are not followed; give the final URL' : ''}`,
    );
  }
  return readText(response);
}

async function readText(response: Response): Promise<string> {
  const decoder = new TextDecoder();
  let text = '';
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.byteLength;
    // Leaving the loop ends the transfer.
    if (bytes > MOST_BYTES) throw new Error(`its answer is longer than ${MOST_BYTES} bytes`);
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}

function numberAt(path: string, answer: string): Measurement {
  const found = path
    .split('.')
    .reduce<unknown>((value, name) => (isContainer(value) ? value[name] : undefined), parse(answer));
  const number = typeof found === 'string' && found.trim() !== '' ? Number(found) : found;
  if (typeof number === 'number' && Number.isFinite(number)) return { kind: 'value', value: number };
  throw new Error(`its answer has no number at "${path}"`);
}

function isContainer(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

function parse(answer: string): unknown {
  try {
    return JSON.parse(answer);
  } catch {
    throw new Error('its answer is no JSON');
  }
}

/** `fetch failed` says nothing; its cause does. */
function causeOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? error.cause.message || error.cause.name : error.message;
}

/** What is measured is shown to many; passwords and parameters of the URL are not. */
function withoutSecrets(url: string): string {
  const { origin, pathname } = new URL(url);
  return `${origin}${pathname}`;
}
