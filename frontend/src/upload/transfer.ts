// One file on its way: hashed, then sent in chunks by tus, each with its checksum. Any of it can be paused, gone on with, cancelled.
import { type DetailedError, type HttpRequest, Upload } from "tus-js-client";
import { base64, Hasher, hex } from "./hasher";
import type { Picked } from "./picked";
import { type Offer, refusalOf, type Server } from "./server";

export type State =
  "waiting" | "hashing" | "sending" | "paused" | "done" | "known" | "failed" | "refused" | "cancelled";

const RETRY_MS = [0, 1_000, 3_000, 5_000, 10_000, 20_000, 30_000, 60_000];
const AGAIN = new Set([0, 409, 423, 429, 460]); // nobody there, another sender, busy, damaged on the way
const GONE = new Set([403, 404, 410]);
const files = new Hasher();
const chunks = new Hasher();

export class Transfer {
  state: State = "waiting";
  sent = 0; // bytes that the store has
  moved = 0; // bytes that were sent from here, now
  hashed = 0;
  sha256 = "";
  problem = "";
  isConvertible = false; // a pickle of weights: refused as a file, and taken to be converted
  #offer: Offer | null;
  #url = "";
  #upload: Upload | null = null;
  #leave: () => void = () => {};
  #turn = 0; // of run: one that was stopped does nothing more, whatever it still waits for

  constructor(
    readonly picked: Picked,
    readonly server: Server,
    unfinished: Offer | null,
    readonly onChange: () => void,
  ) {
    this.#offer = unfinished;
  }

  get size(): number {
    return this.picked.file.size;
  }

  get isOver(): boolean {
    return !["waiting", "hashing", "sending", "paused"].includes(this.state);
  }

  get hasArrived(): boolean {
    return this.state === "done" || this.state === "known";
  }

  /** Returns when it has come to an end, or was stopped. */
  async run(): Promise<void> {
    const turn = ++this.#turn;
    try {
      await this.#hash(turn);
      if (turn === this.#turn) await this.#locate(turn);
      if (turn === this.#turn && !this.isOver) await this.#transmit();
      if (turn === this.#turn && !this.isOver) this.become("done");
    } catch (error) {
      if (GONE.has(statusOf(error))) this.#url = ""; // it expired meanwhile: the next try begins anew
      if (turn === this.#turn) this.refuse("failed", wordsOf(error));
    }
  }

  refuse(state: "failed" | "refused", problem: string): void {
    this.problem = problem;
    this.become(state);
  }

  become(state: State): void {
    this.state = state;
    this.onChange();
  }

  /** What has arrived stays in the store; ``become("waiting")`` and ``run`` go on from there. */
  pause(): void {
    if (!this.isOver) this.#stop("paused", false);
  }

  /** What has arrived is thrown away. */
  cancel(): void {
    if (!this.hasArrived) this.#stop("cancelled", true);
  }

  #stop(state: "paused" | "cancelled", isThrown: boolean): void {
    this.#turn += 1;
    // The server forgets an upload by itself in time, so that this request may get lost does no harm.
    void this.#upload?.abort(isThrown).catch(() => {});
    this.become(state);
    this.#leave();
  }

  async #hash(turn: number): Promise<void> {
    this.become("hashing");
    if (this.sha256) return;
    const digest = await files.digest(this.picked.file, (done) => {
      this.hashed = done;
      if (turn === this.#turn) this.onChange();
    });
    this.sha256 = hex(digest);
  }

  /** Finds the upload that was begun, or begins one; where the store has the bytes, all is done. */
  async #locate(turn: number): Promise<void> {
    if (this.#url) return;
    const begun = this.#offer?.sha256 === this.sha256 ? this.#offer.url : null;
    this.#offer = null; // good for one try
    const url = begun ?? (await this.server.create(this.picked.path, this.size, this.sha256));
    this.#url = url ?? "";
    if (url === null && turn === this.#turn) this.become("known");
  }

  #transmit(): Promise<void> {
    this.become("sending");
    let before = -1; // what the store had is nothing that moved
    return new Promise((resolve, reject) => {
      this.#leave = resolve;
      this.#upload = new Upload(this.picked.file, {
        uploadUrl: this.#url,
        chunkSize: this.server.chunkBytes,
        retryDelays: RETRY_MS,
        storeFingerprintForResuming: false, // the store itself knows what is unfinished, for every browser
        onShouldRetry: (error) => AGAIN.has(statusOf(error)) || statusOf(error) >= 500,
        onBeforeRequest: (request) => this.#sum(request),
        onProgress: (sent) => {
          if (before >= 0) this.moved += Math.max(sent - before, 0);
          before = sent;
          this.sent = sent;
          this.onChange();
        },
        onSuccess: () => resolve(),
        onError: reject,
      });
      this.#upload.start();
    });
  }

  /** The checksum of the chunk that is about to go. */
  async #sum(request: HttpRequest): Promise<void> {
    if (request.getMethod() !== "PATCH") return;
    const start = Number(request.getHeader("Upload-Offset"));
    const digest = await chunks.digest(this.picked.file.slice(start, start + this.server.chunkBytes));
    request.setHeader("Upload-Checksum", `sha256 ${base64(digest)}`);
  }
}

function statusOf(error: unknown): number {
  return (error as Partial<DetailedError>).originalResponse?.getStatus() ?? 0;
}

function wordsOf(error: unknown): string {
  const response = (error as Partial<DetailedError>).originalResponse;
  if (response) return refusalOf(response.getBody(), `HTTP ${response.getStatus()}`).message;
  return error instanceof Error && !("originalRequest" in error) ? error.message : "";
}
