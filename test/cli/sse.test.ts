import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readSse, type SseMessage } from '../../src/cli/sse.ts';

async function messagesOf(...chunks: Uint8Array[]): Promise<SseMessage[]> {
  const messages: SseMessage[] = [];
  const body = (async function* () {
    yield* chunks;
  })();
  for await (const message of readSse(body)) messages.push(message);
  return messages;
}

const bytes = (text: string) => new TextEncoder().encode(text);

describe('readSse', () => {
  test('reads fields, joins data lines and keeps the id until another comes', async () => {
    const text = 'id: 7\nevent: gate\ndata: {"a":\ndata: 1}\n\n: a comment\n\ndata:second\n\n';
    expect(await messagesOf(bytes(text))).toEqual([
      { id: '7', event: 'gate', data: '{"a":\n1}' },
      { id: '7', event: 'message', data: 'second' },
    ]);
  });

  test('drops a message that the end of the stream cuts off', async () => {
    expect(await messagesOf(bytes('id: 1\ndata: whole\n\nid: 2\ndata: half'))).toEqual([
      { id: '1', event: 'message', data: 'whole' },
    ]);
  });

  test('reads the same wherever the bytes are cut, in every form of line end', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom('\n', '\r\n', '\r'),
        fc.array(fc.nat(60), { maxLength: 8 }),
        async (newline, cuts) => {
          const whole = bytes(
            `id: 1${newline}data: zwölf ☃${newline}${newline}data: b${newline}${newline}:end${newline}`,
          );
          const borders = [0, ...cuts.sort((a, b) => a - b), whole.length];
          const chunks = borders.slice(1).map((end, index) => whole.slice(borders[index], end));
          expect(await messagesOf(...chunks)).toEqual([
            { id: '1', event: 'message', data: 'zwölf ☃' },
            { id: '1', event: 'message', data: 'b' },
          ]);
        },
      ),
    );
  });
});
