// What a person sees and presses while files are on their way. Rows are made once and changed in place; a screen reader hears little.
import type { Batch, Totals } from "./batch";
import type { Transfer } from "./transfer";

const PAINT_MS = 150;
const ANNOUNCE_MS = 8_000;
const UNITS = ["B", "kB", "MB", "GB", "TB"];

export class View {
  readonly #rows = new Map<Transfer, HTMLElement>();
  readonly #dirty = new Set<Transfer>();
  #timer = 0;
  #announced = 0;

  constructor(
    readonly host: HTMLElement,
    readonly batch: () => Batch,
    readonly onConvert: (transfer: Transfer) => void = () => {},
  ) {}

  /** Soon, and not too often. */
  changed(transfer?: Transfer): void {
    if (transfer) this.#dirty.add(transfer);
    this.#timer ||= window.setTimeout(() => this.paint(), PAINT_MS);
  }

  paint(): void {
    window.clearTimeout(this.#timer);
    this.#timer = 0;
    const { transfers, isPaused, isBusy } = this.batch();
    const kept = new Set(transfers);
    for (const [transfer, row] of this.#rows) {
      if (kept.has(transfer)) continue;
      row.remove();
      this.#rows.delete(transfer);
    }
    for (const each of transfers) if (!this.#rows.has(each)) this.#dirty.add(each);
    for (const each of this.#dirty)
      if (kept.has(each)) this.#paintRow(each, this.#rows.get(each) ?? this.#newRow(each));
    this.#dirty.clear();
    this.#paintTotals(this.batch().totals(), isBusy);
    this.#find("[data-batch]").hidden = transfers.length === 0;
    this.#find("[data-pause]").hidden = isPaused || !isBusy;
    this.#find("[data-go-on]").hidden = !isPaused;
    this.#find("[data-save]").hidden = isBusy || !transfers.some((each) => each.hasArrived);
  }

  /** What went wrong with all of it; empty takes it away. */
  complain(message: string): void {
    const note = this.#find("[data-complaint]");
    note.textContent = message;
    note.hidden = !message;
  }

  announce(message: string): void {
    this.#find("[data-announce]").textContent = message;
  }

  word(name: string): string {
    return this.host.dataset[name] ?? "";
  }

  #newRow(transfer: Transfer): HTMLElement {
    const row = (this.#find<HTMLTemplateElement>("template[data-row]").content.cloneNode(true) as DocumentFragment)
      .firstElementChild as HTMLElement;
    part(row, "path").textContent = transfer.picked.path;
    part(row, "size").textContent = bytes(transfer.size);
    part(row, "retry").addEventListener("click", () => this.batch().retry(transfer));
    part(row, "convert").addEventListener("click", () => this.onConvert(transfer));
    part(row, "leave").addEventListener("click", () => transfer.cancel());
    this.#rows.set(transfer, row);
    this.#find("[data-rows]").append(row);
    return row;
  }

  #paintRow(transfer: Transfer, row: HTMLElement): void {
    const { state, problem, size } = transfer;
    row.dataset.state = state;
    part(row, "word").textContent = this.word(state);
    const bar = part<HTMLProgressElement>(row, "bar");
    const done = state === "hashing" ? transfer.hashed : transfer.hasArrived ? size : transfer.sent;
    bar.value = size ? done / size : Number(transfer.hasArrived);
    bar.hidden = !["hashing", "sending", "paused"].includes(state);
    const [said = "", ...command] = (problem || (state === "failed" ? this.word("broken") : "")).split("\n");
    part(row, "problem").textContent = said;
    part(row, "problem").hidden = !said;
    part(row, "command").textContent = part(row, "copy").dataset.copy = command.join("\n");
    part(row, "code").hidden = command.length === 0;
    part(row, "convert").hidden = state !== "refused" || !transfer.isConvertible;
    part(row, "retry").hidden = state !== "failed";
    part(row, "leave").hidden = transfer.hasArrived || state === "refused" || state === "cancelled";
  }

  #paintTotals(totals: Totals, isBusy: boolean): void {
    const share = totals.bytes ? totals.sent / totals.bytes : Number(totals.files > 0);
    this.#find<HTMLProgressElement>("[data-total]").value = share;
    const parts = [`${totals.arrived} / ${totals.files}`, `${bytes(totals.sent)} / ${bytes(totals.bytes)}`];
    if (isBusy && totals.speed > 0) parts.push(`${bytes(totals.speed)}/s`);
    if (isBusy && totals.left !== null && Number.isFinite(totals.left))
      parts.push(`${this.word("left")} ${time(totals.left)}`);
    const said = parts.join(" · ");
    this.#find("[data-figures]").textContent = said;
    if (!isBusy || performance.now() - this.#announced < ANNOUNCE_MS) return;
    this.#announced = performance.now();
    this.announce(`${Math.round(share * 100)} %, ${said}`);
  }

  #find<T extends HTMLElement = HTMLElement>(selector: string): T {
    const element = this.host.querySelector<T>(selector);
    if (!element) throw new Error(`The uploader has no ${selector}.`);
    return element;
  }
}

function part<T extends HTMLElement = HTMLElement>(row: HTMLElement, name: string): T {
  const element = row.querySelector<T>(`[data-${name}]`);
  if (!element) throw new Error(`The row has no ${name}.`);
  return element;
}

/** 30,000,000 is "28.6 MB", as the pages say it. */
export function bytes(size: number): string {
  const power = Math.min(size >= 1 ? Math.floor(Math.log2(size) / 10) : 0, UNITS.length - 1);
  const number = size / 2 ** (10 * power);
  return `${power === 0 || number >= 100 ? Math.round(number) : Math.round(number * 10) / 10} ${UNITS[power]}`;
}

function time(seconds: number): string {
  const whole = Math.ceil(seconds);
  const [hours, minutes] = [Math.floor(whole / 3_600), Math.floor(whole / 60) % 60];
  const two = (number: number) => String(number).padStart(2, "0");
  return hours ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}
