// The playground on a listing's page: a conversation with the model, streamed, stoppable, priced.
import { chat, costLine, explain, fieldValue, find, knobs, type Chunk, type Message } from "./islands/chat";
import { dollars, showBalance } from "./islands/dollars";

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
      explain(turn, error, this.#labels);
      this.#follow();
    } finally {
      delete turn.dataset.live;
      this.#running(false);
    }
    if (answer.content) this.#messages.push(answer);
    else this.#messages.pop(); // nothing came: the question can be asked again
  }

  async #stream(turn: HTMLElement, answer: Message): Promise<void> {
    const said = find(turn, ".said");
    this.#stopper = new AbortController();
    const request = { messages: this.#messages, ...knobs(this.form) };
    const csrf = fieldValue(this.form, "csrfmiddlewaretoken");
    for await (const chunk of chat(this.form.action, csrf, request, this.#stopper.signal)) {
      const text = chunk.choices?.[0]?.delta?.content;
      if (text) {
        answer.content += text;
        said.append(text);
        this.#follow();
      }
      if (chunk.usage) this.#price(turn, chunk);
    }
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
    const parts = [
      `${usage?.prompt_tokens} ${this.#labels.tokensIn}`,
      `${usage?.completion_tokens} ${this.#labels.tokensOut}`,
    ];
    if (store) {
      parts.push(`${this.#labels.price} ${dollars(store.charge_nano)}`);
      parts.push(`${this.#labels.left} ${dollars(store.available_nano)}`);
      showBalance(store.available_nano);
    }
    turn.append(costLine(parts));
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

for (const form of document.querySelectorAll<HTMLFormElement>("form[data-playground]")) new Playground(form);
