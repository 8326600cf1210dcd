import type { Answer, Question } from "./hash.worker";

type Waiting = {
  resolve: (digest: Uint8Array) => void;
  reject: (error: Error) => void;
  onBytes: (done: number) => void;
};

/** A worker that hashes whatever it is given. Whole files and single chunks have one each, so that neither waits for the other. */
export class Hasher {
  readonly #worker = new Worker(new URL("./hash.worker.ts", import.meta.url), { type: "module" });
  readonly #waiting = new Map<number, Waiting>();
  #last = 0;

  constructor() {
    this.#worker.addEventListener("message", (event: MessageEvent<Answer>) => this.#hear(event.data));
  }

  /** SHA-256, 32 bytes. Rejects where the bytes cannot be read. */
  digest(blob: Blob, onBytes: (done: number) => void = () => {}): Promise<Uint8Array> {
    const question: Question = { id: ++this.#last, blob };
    return new Promise((resolve, reject) => {
      this.#waiting.set(question.id, { resolve, reject, onBytes });
      this.#worker.postMessage(question);
    });
  }

  #hear({ id, done, digest, error }: Answer): void {
    const waiting = this.#waiting.get(id);
    if (done !== undefined) waiting?.onBytes(done);
    if (digest) waiting?.resolve(digest);
    if (error) waiting?.reject(new Error(error));
    if (digest || error) this.#waiting.delete(id);
  }
}

export function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export function base64(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes));
}
