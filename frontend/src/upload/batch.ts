// Everything that is on its way in this page, three files at a time.
import type { Picked } from "./picked";
import type { Server } from "./server";
import { Transfer } from "./transfer";

const AT_ONCE = 3;
const WINDOW_MS = 8_000; // over which the speed is taken

export type Totals = {
  files: number;
  arrived: number;
  bytes: number;
  sent: number;
  speed: number;
  left: number | null;
};

export class Batch {
  readonly transfers: Transfer[] = [];
  isPaused = false;
  readonly #samples: { at: number; moved: number }[] = [];

  constructor(
    readonly server: Server,
    readonly onChange: (transfer?: Transfer) => void,
  ) {}

  get isBusy(): boolean {
    return this.transfers.some((each) => !each.isOver);
  }

  /** Asks the store about the names first. The same file again takes the place of its older self. Rejects where the store cannot be asked. */
  async add(picked: Picked[]): Promise<void> {
    const looks = await this.server.look(picked.map(({ path, file }) => ({ path, size: file.size })));
    picked.forEach((each, index) => {
      const look = looks[index];
      const transfer: Transfer = new Transfer(each, this.server, look?.unfinished ?? null, () =>
        this.onChange(transfer),
      );
      transfer.isConvertible = look?.convertible ?? false;
      this.#replace(transfer);
      if (look?.problem) transfer.refuse("refused", look.problem);
    });
    this.onChange();
    this.#pump();
  }

  pause(): void {
    this.isPaused = true;
    for (const each of this.transfers) each.pause();
    this.onChange();
  }

  goOn(): void {
    this.isPaused = false;
    for (const each of this.transfers) if (each.state === "paused") each.become("waiting");
    this.#pump();
  }

  retry(transfer: Transfer): void {
    transfer.problem = "";
    transfer.become(this.isPaused ? "paused" : "waiting");
    this.#pump();
  }

  cancel(): void {
    const gone = this.transfers.splice(0); // first, so that nobody takes what has arrived for all there is
    for (const each of gone) each.cancel();
    this.isPaused = false;
    this.onChange();
  }

  totals(): Totals {
    const sent = this.transfers.filter((each) => each.state !== "refused" && each.state !== "cancelled");
    const sum = (of: (each: Transfer) => number) => sent.reduce((total, each) => total + of(each), 0);
    const bytes = sum((each) => each.size);
    const done = sum((each) => (each.hasArrived ? each.size : each.sent));
    const speed = this.#speed(sum((each) => each.moved));
    const arrived = sent.filter((each) => each.hasArrived).length;
    return { files: sent.length, arrived, bytes, sent: done, speed, left: speed > 0 ? (bytes - done) / speed : null };
  }

  #replace(transfer: Transfer): void {
    const index = this.transfers.findIndex((each) => each.picked.path === transfer.picked.path);
    if (index < 0) this.transfers.push(transfer);
    else this.transfers.splice(index, 1, transfer)[0]?.cancel();
  }

  #pump(): void {
    const running = this.transfers.filter((each) => each.state === "hashing" || each.state === "sending").length;
    const waiting = this.transfers.filter((each) => each.state === "waiting");
    if (this.isPaused) return;
    for (const each of waiting.slice(0, Math.max(AT_ONCE - running, 0))) void each.run().then(() => this.#pump());
  }

  /** Bytes a second, of what was sent lately. */
  #speed(moved: number): number {
    const now = performance.now();
    this.#samples.push({ at: now, moved });
    while ((this.#samples[0]?.at ?? now) < now - WINDOW_MS) this.#samples.shift();
    const first = this.#samples[0];
    return first && now > first.at ? ((moved - first.moved) * 1_000) / (now - first.at) : 0;
  }
}
