// One prompt to each of the models that are compared, at once: what each says, how soon, how fast, for how much.
import { chat, costLine, explain, fieldValue, find, knobs, type Chunk } from "./islands/chat";
import { dollars, showBalance } from "./islands/dollars";

type Timing = { started: number; first: number };

class Comparison {
  #stopper: AbortController | null = null;
  readonly #prompt: HTMLTextAreaElement;
  readonly #answers: HTMLElement[];

  constructor(readonly form: HTMLFormElement) {
    this.#prompt = find(form, "textarea");
    this.#answers = [...form.ownerDocument.querySelectorAll<HTMLElement>("[data-answer]")];
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#ask();
    });
    this.#prompt.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      form.requestSubmit();
    });
    find(form, "[data-stop]").addEventListener("click", () => this.#stopper?.abort());
    form.ownerDocument.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.#stopper?.abort();
    });
  }

  async #ask(): Promise<void> {
    const content = this.#prompt.value;
    if (!content.trim() || this.#stopper) return;
    this.#running(true);
    const stopper = new AbortController();
    this.#stopper = stopper;
    await Promise.all(this.#answers.map((answer) => this.#answer(answer, content, stopper.signal)));
    this.#running(false);
  }

  async #answer(host: HTMLElement, content: string, signal: AbortSignal): Promise<void> {
    const said = document.createElement("div");
    said.className = "said";
    host.replaceChildren(said);
    host.dataset.live = "";
    const timing: Timing = { started: performance.now(), first: 0 };
    const request = { messages: [{ role: "user" as const, content }], ...knobs(this.form) };
    const csrf = fieldValue(this.form, "csrfmiddlewaretoken");
    try {
      for await (const chunk of chat(host.dataset.answer ?? "", csrf, request, signal)) {
        const text = chunk.choices?.[0]?.delta?.content;
        if (text) {
          timing.first ||= performance.now();
          said.append(text);
        }
        if (chunk.usage) this.#price(host, chunk, timing);
      }
    } catch (error) {
      explain(host, error, this.form.dataset);
    } finally {
      delete host.dataset.live;
    }
  }

  #price(host: HTMLElement, { usage, store }: Chunk, { started, first }: Timing): void {
    const labels = this.form.dataset;
    const made = usage?.completion_tokens ?? 0;
    const parts = [`${usage?.prompt_tokens} ${labels.tokensIn}`, `${made} ${labels.tokensOut}`];
    if (first) {
      const seconds = (performance.now() - first) / 1000;
      parts.push(`${labels.firstToken} ${Math.round(first - started).toLocaleString()} ms`);
      if (made > 1 && seconds > 0) parts.push(`${((made - 1) / seconds).toFixed(1)} ${labels.perSecond}`);
    }
    if (store) {
      parts.push(`${labels.price} ${dollars(store.charge_nano)}`);
      showBalance(store.available_nano);
    }
    host.append(costLine(parts));
  }

  #running(is: boolean): void {
    if (!is) this.#stopper = null;
    find(this.form, "[data-send]").hidden = is;
    find(this.form, "[data-stop]").hidden = !is;
    if (!is) this.#prompt.focus({ preventScroll: true });
  }
}

for (const form of document.querySelectorAll<HTMLFormElement>("form[data-compare]")) new Comparison(form);
