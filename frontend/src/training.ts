// <form data-training>: a file that is dropped goes up and is chosen; what was computed shows where nothing was written.
import { dropped } from "./upload/picked";
import { refusalOf, Server } from "./upload/server";
import { Transfer } from "./upload/transfer";

class DataDrop {
  readonly #server: Server;
  readonly #words: HTMLElement | null;
  readonly #bar: HTMLProgressElement | null;
  #transfer: Transfer | null = null;

  constructor(
    readonly form: HTMLFormElement,
    readonly zone: HTMLElement,
  ) {
    this.#server = new Server(zone.dataset, this.#csrf, "data");
    this.#words = zone.querySelector("[data-arriving]");
    this.#bar = zone.querySelector("progress");
    zone.querySelector("input")?.addEventListener("change", (event) => {
      const input = event.target as HTMLInputElement;
      event.stopPropagation(); // no field of the form
      const [file] = input.files ?? [];
      if (file) void this.#take(file);
      input.value = "";
    });
    for (const name of ["dragenter", "dragover", "dragleave", "drop"]) {
      zone.addEventListener(name, (event) => {
        event.preventDefault();
        zone.toggleAttribute("data-over", name === "dragenter" || name === "dragover");
      });
    }
    zone.addEventListener("drop", (event) => {
      if (!event.dataTransfer) return;
      void dropped(event.dataTransfer.items).then(([first]) => first && this.#take(first.file));
    });
    window.addEventListener("beforeunload", (event) => {
      if (this.#transfer && !this.#transfer.isOver) event.preventDefault();
    });
  }

  get #csrf(): string {
    return this.form.querySelector<HTMLInputElement>("[name=csrfmiddlewaretoken]")?.value ?? "";
  }

  async #take(file: File): Promise<void> {
    this.#transfer?.cancel();
    const transfer: Transfer = new Transfer({ path: file.name, file }, this.#server, null, () => this.#show(transfer));
    this.#transfer = transfer;
    await transfer.run();
    if (transfer !== this.#transfer) return; // another file took its place
    if (transfer.hasArrived) await this.#add(transfer);
    else this.#say(transfer.problem || this.#word("broken"));
  }

  async #add({ picked, sha256 }: Transfer): Promise<void> {
    const body = new FormData();
    body.set("name", picked.path);
    body.set("sha256", sha256);
    try {
      const address = this.zone.dataset.add ?? "";
      const response = await fetch(address, { method: "POST", headers: { "X-CSRFToken": this.#csrf }, body });
      if (!response.ok) return this.#say(refusalOf(await response.text(), response.statusText).message);
      const { id, name } = (await response.json()) as { id: string; name: string };
      this.#choose(id, name);
      this.#say(`${this.#word("done")}: ${picked.path}`);
    } catch {
      this.#say(this.#word("broken"));
    }
  }

  #choose(id: string, name: string): void {
    const list = this.form.querySelector<HTMLSelectElement>("[name=training_file]");
    if (!list) return;
    for (const select of this.form.querySelectorAll<HTMLSelectElement>("[name$=_file]"))
      select.add(new Option(name, id));
    list.value = id;
    list.dispatchEvent(new Event("change", { bubbles: true }));
  }

  #show(transfer: Transfer): void {
    const isHashing = transfer.state === "hashing";
    this.#say(`${this.#word(isHashing ? "reading" : "sending")}: ${transfer.picked.path}`);
    if (!this.#bar) return;
    this.#bar.hidden = transfer.isOver;
    this.#bar.value = (isHashing ? transfer.hashed : transfer.sent) / Math.max(transfer.size, 1);
  }

  #say(words: string): void {
    if (!this.#words) return;
    this.#words.hidden = false;
    this.#words.textContent = words;
  }

  #word(name: string): string {
    return this.zone.dataset[name] ?? "";
  }
}

/** What the quote has computed becomes what the empty fields show. */
function showComputed(form: HTMLFormElement): void {
  const text = document.getElementById("computed")?.textContent;
  const computed: unknown = text ? JSON.parse(text) : null;
  if (!computed || typeof computed !== "object") return;
  for (const [name, value] of Object.entries(computed)) {
    const field = form.querySelector<HTMLInputElement | HTMLSelectElement>(`[name="${name}"]`);
    if (field instanceof HTMLInputElement) field.placeholder = String(value);
    const first = field instanceof HTMLSelectElement ? field.options[0] : undefined;
    if (first?.value === "") first.text = String(value);
  }
}

for (const form of document.querySelectorAll<HTMLFormElement>("[data-training]")) {
  const zone = form.querySelector<HTMLElement>("[data-dropzone]");
  if (zone) new DataDrop(form, zone);
  const place = form.querySelector("aside");
  if (place) new MutationObserver(() => showComputed(form)).observe(place, { childList: true, subtree: true });
}
