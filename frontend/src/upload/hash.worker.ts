// SHA-256 off the main thread: {id, blob} comes in, {id, done} goes out as it reads, then {id, digest} or {id, error}.
import { createSHA256 } from "hash-wasm";

export type Question = { id: number; blob: Blob };
export type Answer = { id: number; done?: number; digest?: Uint8Array; error?: string };
const SLICE_BYTES = 4 * 1024 * 1024;

self.addEventListener("message", (event: MessageEvent<Question>) => void digest(event.data));

async function digest({ id, blob }: Question): Promise<void> {
  const say = (answer: Omit<Answer, "id">) => self.postMessage({ id, ...answer });
  try {
    const hasher = await createSHA256();
    hasher.init();
    for (let at = 0; at < blob.size; at += SLICE_BYTES) {
      hasher.update(new Uint8Array(await blob.slice(at, at + SLICE_BYTES).arrayBuffer()));
      say({ done: Math.min(at + SLICE_BYTES, blob.size) });
    }
    say({ digest: hasher.digest("binary") });
  } catch (error) {
    say({ error: String(error) }); // the file changed or went away while it was read
  }
}
