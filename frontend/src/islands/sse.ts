// Server-sent events over fetch: EventSource can neither POST nor send a CSRF token.

/** Yields the data of each event of the answer; ends at "[DONE]" or at the end of the stream. */
export async function* events(body: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const reader = body.pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>).getReader();
  let rest = "";
  try {
    while (true) {
      const { value, done } = await reader.read();
      if (done) return;
      const parts = (rest + value.replaceAll("\r\n", "\n")).split("\n\n");
      rest = parts.pop() ?? "";
      for (const part of parts) {
        const data = dataOf(part);
        if (data === "[DONE]") return;
        if (data) yield data;
      }
    }
  } finally {
    await reader.cancel();
  }
}

function dataOf(part: string): string {
  return part
    .split("\n")
    .filter((line) => line.startsWith("data:"))
    .map((line) => line.slice(5).trimStart())
    .join("\n");
}
