/** One message of an event stream (WHATWG HTML, server-sent events). */
export type SseMessage = { id: string | undefined; event: string; data: string };

/** Reads messages off the bytes of a `text/event-stream`; comments and unknown fields are passed over. */
export async function* readSse(body: AsyncIterable<Uint8Array>): AsyncGenerator<SseMessage> {
  let message: Partial<SseMessage> = {};
  for await (const line of readLines(body)) {
    if (line !== '') {
      readField(line, message);
      continue;
    }
    const { id, event = 'message', data } = message;
    if (data !== undefined) yield { id, event, data };
    // An id stays until another one comes.
    message = { id };
  }
}

function readField(line: string, message: Partial<SseMessage>): void {
  const colon = line.indexOf(':');
  const name = colon < 0 ? line : line.slice(0, colon);
  const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
  if (name === 'data') message.data = message.data === undefined ? value : `${message.data}\n${value}`;
  else if (name === 'event' && value) message.event = value;
  else if (name === 'id') message.id = value;
}

/** Lines ended by LF, CRLF or CR. A line that the end of the bytes cuts off is dropped, as the standard says. */
async function* readLines(body: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const bytes of body) {
    rest += decoder.decode(bytes, { stream: true });
    // A CR at the very end may be the first half of a CRLF, so it waits for the next bytes.
    const lines = rest.split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop() ?? '';
    yield* lines;
  }
}
