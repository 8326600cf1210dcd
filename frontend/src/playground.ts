// The playground on a listing's page: a conversation with the model, streamed, stoppable, priced.
import { dollars, showDollars } from "./islands/dollars";
import { events } from "./islands/sse";

type Message = { role: "user" | "assistant"; content: string };
type Usage = { prompt_tokens: number; completion_tokens: number };
type Chunk = {
  choices?: { delta?: { content?: string } }[];
  usage?: Usage | null;
  store?: { charge_nano: number; available_nano: number };
  error?: { message: string; code?: string };
};

class Refused extends Error {
  constructor(
    message: string,
    readonly code: string,
  ) {
    super(message);
  }
}

class Playground {
  readonly #messages: Message[] = [];
  #stopper: AbortController | null = null;
  readonly #transcript: HTMLElement;
  readonly #prompt: HTMLTextAreaElement;
  readonly #labels: DOMStringMap;

  constructor(readonly form: HTMLFormElement) {
    this.#transcript = find(form.ownerDocument, "[data-transcript]");
    this.#prompt = find(form, "textarea");
    this.#labels = form.dataset;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#send();
    });
    this.#prompt.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      form.requestSubmit();
    });
    find(form, "[data-stop]").addEventListener("click", () => this.#stopper?.abort());
    find(form, "[data-clear]").addEventListener("click", () => this.#clear());
    form.ownerDocument.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.#stopper?.abort();
    });
  }

  async #send(): Promise<void> {
    const content = this.#prompt.value;
    if (!content.trim() || this.#stopper) return;
    this.#messages.push({ role: "user", content });
    this.#say("user", content);
    this.#prompt.value = "";
    this.#running(true);
    const turn = this.#say("assistant", "");
    turn.dataset.live = "";
    const answer: Message = { role: "assistant", content: "" };
    try {
      await this.#stream(turn, answer);
    } catch (error) {
      this.#explain(turn, error);
    } finally {
      delete turn.dataset.live;
      this.#running(false);
    }
    if (answer.content) this.#messages.push(answer);
    else this.#messages.pop(); // nothing came: the question can be asked again
  }

  async #stream(turn: HTMLElement, answer: Message): Promise<void> {
    const said = find(turn, ".said");
    for await (const chunk of this.#chunks()) {
      if (chunk.error) throw new Refused(chunk.error.message, chunk.error.code ?? "");
      const text = chunk.choices?.[0]?.delta?.content;
      if (text) {
        answer.content += text;
        said.append(text);
        this.#follow();
      }
      if (chunk.usage) this.#price(turn, chunk);
    }
  }

  async *#chunks(): AsyncGenerator<Chunk> {
    const stopper = new AbortController();
    this.#stopper = stopper;
    const response = await fetch(this.form.action, {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-CSRFToken": this.#value("csrfmiddlewaretoken") },
      body: JSON.stringify(this.#request()),
      signal: stopper.signal,
    });
    if (!response.ok || !response.body) throw await refusal(response);
    for await (const data of events(response.body)) yield JSON.parse(data) as Chunk;
  }

  #request(): Record<string, unknown> {
    const request: Record<string, unknown> = { messages: this.#messages };
    for (const name of ["max_tokens", "temperature", "top_p"]) {
      const value = this.#value(name);
      if (value !== "") request[name] = Number(value);
    }
    return request;
  }

  #value(name: string): string {
    const field = this.form.elements.namedItem(name);
    return field instanceof HTMLInputElement ? field.value : "";
  }

  #say(role: Message["role"], content: string): HTMLElement {
    this.#transcript.querySelector("[data-greeting]")?.remove();
    const turn = document.createElement("div");
    turn.className = "turn";
    turn.dataset.role = role;
    const who = document.createElement("p");
    who.className = "eyebrow";
    who.textContent = (role === "user" ? this.#labels.you : this.#labels.model) ?? role;
    const said = document.createElement("div");
    said.className = "said";
    said.append(content);
    turn.append(who, said);
    this.#transcript.append(turn);
    this.#follow();
    return turn;
  }

  #price(turn: HTMLElement, { usage, store }: Chunk): void {
    const line = document.createElement("p");
    line.className = "turn-cost";
    const parts = [
      `${usage?.prompt_tokens} ${this.#labels.tokensIn}`,
      `${usage?.completion_tokens} ${this.#labels.tokensOut}`,
    ];
    if (store) {
      parts.push(`${this.#labels.price} ${dollars(store.charge_nano)}`);
      parts.push(`${this.#labels.left} ${dollars(store.available_nano)}`);
      for (const balance of document.querySelectorAll("[data-balance]")) {
        showDollars(balance, store.available_nano);
      }
    }
    for (const part of parts) {
      const span = document.createElement("span");
      span.textContent = part;
      line.append(span);
    }
    turn.append(line);
    this.#follow();
  }

  #explain(turn: HTMLElement, error: unknown): void {
    const note = document.createElement("p");
    const stopped = error instanceof DOMException && error.name === "AbortError";
    note.className = stopped ? "turn-cost" : "field-error";
    if (stopped) note.textContent = this.#labels.stopped ?? "";
    else note.textContent = error instanceof Refused ? error.message : (this.#labels.failed ?? String(error));
    turn.append(note);
    if (error instanceof Refused && error.code === "insufficient_credit") {
      const link = document.createElement("a");
      link.className = "link text-sm";
      link.href = this.#labels.wallet ?? "";
      link.textContent = this.#labels.topUp ?? "";
      turn.append(link);
    }
    this.#follow();
  }

  #running(is: boolean): void {
    if (!is) this.#stopper = null;
    find(this.form, "[data-send]").hidden = is;
    find(this.form, "[data-stop]").hidden = !is;
    this.#transcript.ariaBusy = String(is);
    if (!is) this.#prompt.focus({ preventScroll: true });
  }

  #clear(): void {
    this.#stopper?.abort();
    this.#messages.length = 0;
    this.#transcript.replaceChildren();
    this.#prompt.focus();
  }

  #follow(): void {
    this.#transcript.scrollTop = this.#transcript.scrollHeight;
  }
}

function find<T extends HTMLElement>(root: ParentNode, selector: string): T {
  const element = root.querySelector<T>(selector);
  if (!element) throw new Error(`The playground has no ${selector}.`);
  return element;
}

/** The words of an answer that is no stream: OpenAI's error shape, or a page of ours. */
async function refusal(response: Response): Promise<Error> {
  try {
    const body = (await response.json()) as Chunk;
    return new Refused(body.error?.message ?? response.statusText, body.error?.code ?? "");
  } catch {
    return new Refused(`${response.status} ${response.statusText}`, "");
  }
}

for (const form of document.querySelectorAll<HTMLFormElement>("form[data-playground]")) new Playground(form);
