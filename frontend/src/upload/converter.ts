// <section data-converter>: one pickle of weights goes up, and a worker makes safetensors of it. What comes of it is shown by the page.
import { Batch } from "./batch";
import { Refused, Server } from "./server";
import type { Transfer } from "./transfer";
import { bytes, View } from "./view";

export class Converter {
  readonly #view: View;
  readonly #csrf: string;
  #batch: Batch;
  #file: File | null = null;
  #isStarting = false;

  constructor(readonly host: HTMLElement) {
    this.#csrf = host.querySelector<HTMLInputElement>("[name=csrfmiddlewaretoken]")?.value ?? "";
    this.#batch = this.#newBatch();
    this.#view = new View(host, () => this.#batch);
    for (const input of document.querySelectorAll<HTMLInputElement>("input[data-convertible]")) {
      input.addEventListener("change", () => {
        const [file] = input.files ?? [];
        if (file) this.open(file);
        input.value = ""; // the same choice again is a change again
      });
    }
    host.querySelector("[data-form]")?.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#send();
    });
    this.#press("pause", () => this.#batch.pause());
    this.#press("go-on", () => this.#batch.goOn());
    this.#press("cancel", () => this.#cancel());
    this.#press("save", () => void this.#start());
    this.#press("close", () => this.#close());
    window.addEventListener("beforeunload", (event) => {
      if (this.#batch.isBusy || this.#isStarting) event.preventDefault();
    });
  }

  get #base(): string {
    return this.host.querySelector<HTMLInputElement>("[name=base]")?.value.trim() ?? "";
  }

  /** Asks for the base of this file. Another one that is on its way is finished first. */
  open(file: File): void {
    if (!this.#batch.isBusy && !this.#isStarting) {
      this.#file = file;
      this.#batch = this.#newBatch();
      this.#view.paint();
      this.#view.complain("");
      this.#find("[data-file]").textContent = file.name;
      this.#find("[data-file-size]").textContent = bytes(file.size);
    }
    this.host.hidden = false;
    this.host.scrollIntoView({ block: "nearest" });
    (this.host.querySelector<HTMLElement>("[name=base]") ?? this.#find("[data-close]")).focus();
  }

  async #send(): Promise<void> {
    if (!this.#file || this.#batch.isBusy || this.#isStarting) return;
    this.#batch = this.#newBatch(); // what an earlier try has sent is found again
    this.#view.complain("");
    try {
      await this.#batch.add([{ path: this.#file.name, file: this.#file }]);
    } catch (error) {
      this.#complain(error);
    }
  }

  #changed(transfer?: Transfer): void {
    this.#view.changed(transfer);
    if (this.#batch.transfers.some((each) => each.hasArrived)) void this.#start();
  }

  async #start(): Promise<void> {
    const [arrived] = this.#batch.transfers;
    if (this.#isStarting || !arrived?.hasArrived) return;
    this.#isStarting = true;
    try {
      await this.#batch.server.convert(arrived.sha256, this.#base);
      document.body.dispatchEvent(new CustomEvent("converting"));
      this.host.hidden = true;
      document.getElementById("converting")?.focus();
    } catch (error) {
      this.#complain(error);
    }
    this.#isStarting = false;
  }

  #cancel(): void {
    this.#batch.cancel();
    this.host.querySelector<HTMLElement>("[name=base]")?.focus();
  }

  #close(): void {
    this.#batch.cancel();
    this.host.hidden = true;
  }

  /** The base is asked for with the name of the file, before a byte is read. */
  #newBatch(): Batch {
    const look = `${this.host.dataset.look}?base=${encodeURIComponent(this.#base)}`;
    return new Batch(new Server({ ...this.host.dataset, look }, this.#csrf, "conversion"), (transfer) =>
      this.#changed(transfer),
    );
  }

  #complain(error: unknown): void {
    this.#view.complain(error instanceof Refused ? error.message : this.#view.word("broken"));
  }

  #press(name: string, act: () => void): void {
    this.#find(`[data-${name}]`).addEventListener("click", act);
  }

  #find(selector: string): HTMLElement {
    const element = this.host.querySelector<HTMLElement>(selector);
    if (!element) throw new Error(`The converter has no ${selector}.`);
    return element;
  }
}
