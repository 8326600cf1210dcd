// <section data-uploader>: files and folders go up, in as many visits as it takes, and become one commit (or training data) when all are there.
import { Batch } from "./upload/batch";
import { Converter } from "./upload/converter";
import { chosen, dropped, type Picked } from "./upload/picked";
import { type Purpose, Refused, Server } from "./upload/server";
import type { Transfer } from "./upload/transfer";
import { View } from "./upload/view";

class Uploader {
  readonly #batch: Batch;
  readonly #view: View;
  #isSaving = false;

  constructor(
    readonly host: HTMLElement,
    converter: Converter | null,
  ) {
    const csrf = host.querySelector<HTMLInputElement>("[name=csrfmiddlewaretoken]")?.value ?? "";
    const server = new Server(host.dataset, csrf, (host.dataset.purpose as Purpose | undefined) ?? "file");
    this.#batch = new Batch(server, (transfer) => this.#changed(transfer));
    this.#view = new View(
      host,
      () => this.#batch,
      ({ picked }) => converter?.open(picked.file),
    );
    this.#listen();
  }

  #listen(): void {
    for (const input of this.host.querySelectorAll<HTMLInputElement>("input[type=file]")) {
      const take = (): void => {
        void this.#take(chosen(input.files ?? []));
        input.value = ""; // the same choice again is a change again
      };
      input.addEventListener("change", take);
      if (input.files?.length) take(); // chosen before this script had come
    }
    // Beside a problem: whatever the file is called there, it takes the place of the one that is named.
    for (const input of document.querySelectorAll<HTMLInputElement>("input[data-replaces]")) {
      input.addEventListener("change", () => {
        const [file] = input.files ?? [];
        if (file) void this.#take([{ path: input.dataset.replaces ?? file.name, file }]);
        input.value = "";
      });
    }
    const zone = this.host.querySelector<HTMLElement>("[data-dropzone]");
    for (const name of ["dragenter", "dragover", "dragleave", "drop"]) {
      zone?.addEventListener(name, (event) => {
        event.preventDefault();
        zone.toggleAttribute("data-over", name === "dragenter" || name === "dragover");
      });
    }
    zone?.addEventListener("drop", (event) => {
      if (event.dataTransfer) void dropped(event.dataTransfer.items).then((picked) => this.#take(picked));
    });
    this.#press("pause", () => this.#batch.pause());
    this.#press("go-on", () => this.#batch.goOn());
    this.#press("cancel", () => this.#batch.cancel());
    this.#press("save", () => void this.#save());
    window.addEventListener("beforeunload", (event) => {
      if (this.#batch.isBusy || this.#isSaving) event.preventDefault();
    });
  }

  #press(name: string, act: () => void): void {
    this.host.querySelector(`[data-${name}]`)?.addEventListener("click", act);
  }

  async #take(picked: Picked[]): Promise<void> {
    this.#view.complain(picked.length ? "" : this.#view.word("nothing"));
    if (!picked.length) return;
    try {
      await this.#batch.add(picked);
    } catch (error) {
      this.#view.complain(error instanceof Refused ? error.message : this.#view.word("broken"));
    }
  }

  #changed(transfer?: Transfer): void {
    this.#view.changed(transfer);
    // One that failed waits for a person; what was refused was never on its way.
    const { transfers, isBusy } = this.#batch;
    const isWhole = transfers.every(
      (each) => each.hasArrived || each.state === "refused" || each.state === "cancelled",
    );
    if (!isBusy && isWhole && transfers.some((each) => each.hasArrived)) void this.#save();
  }

  async #save(): Promise<void> {
    if (this.#isSaving) return;
    this.#isSaving = true;
    const arrived = this.#batch.transfers.filter((each) => each.hasArrived);
    const isReplacing = this.host.querySelector<HTMLInputElement>("[data-replace]")?.checked ?? false;
    const additions = arrived.map(({ picked, sha256 }) => ({ path: picked.path, sha256 }));
    this.#view.announce(this.#view.word("saving"));
    try {
      const url = await this.#batch.server.commit("", additions, isReplacing);
      this.#leave(url);
    } catch (error) {
      this.#explain(error);
      this.#isSaving = false;
    }
  }

  /** Goes on to the next page, unless there is something here to be read first. */
  #leave(url: string): void {
    this.#isSaving = false;
    if (this.#batch.transfers.every((each) => each.hasArrived)) return location.assign(url);
    const done = this.host.querySelector<HTMLElement>("[data-saved]");
    const link = done?.querySelector("a");
    if (!done || !link) return location.assign(url);
    link.href = url;
    done.hidden = false;
    this.#view.announce(this.#view.word("saved"));
  }

  #explain(error: unknown): void {
    const problems = error instanceof Refused ? error.problems : [];
    for (const { path, message } of problems) {
      this.#batch.transfers.find((each) => each.picked.path === path)?.refuse("refused", message);
    }
    this.#view.complain(error instanceof Refused ? error.message : this.#view.word("broken"));
  }
}

const place = document.querySelector<HTMLElement>("[data-converter]");
const converter = place && new Converter(place);
for (const host of document.querySelectorAll<HTMLElement>("[data-uploader]")) new Uploader(host, converter);
