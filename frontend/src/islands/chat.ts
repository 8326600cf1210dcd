// A call of the playground's endpoint: the answer as it is made, and what it cost.
import { events } from "./sse";

export type Message = { role: "user" | "assistant"; content: string };
export type Usage = { prompt_tokens: number; completion_tokens: number };
export type Chunk = {
  choices?: { delta?: { content?: string } }[];
  usage?: Usage | null;
  store?: { charge_nano: number; available_nano: number };
  error?: { message: string; code?: string };
};
export type Knobs = { max_tokens?: number; temperature?: number; top_p?: number };

export class Refused extends Error {
  constructor(
    message: string,
    readonly code: string,
  ) {
    super(message);
  }
}

/** Yields the chunks of an answer. Throws Refused, with the store's words, where there is none; AbortError where it was stopped. */
export async function* chat(
  address: string,
  csrf: string,
  request: Knobs & { messages: readonly Message[] },
  signal: AbortSignal,
): AsyncGenerator<Chunk> {
  const response = await fetch(address, {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-CSRFToken": csrf },
    body: JSON.stringify(request),
    signal,
  });
  if (!response.ok || !response.body) throw await refusal(response);
  for await (const data of events(response.body)) {
    const chunk = JSON.parse(data) as Chunk;
    if (chunk.error) throw new Refused(chunk.error.message, chunk.error.code ?? "");
    yield chunk;
  }
}

/** The numbers that a form's fields of these names hold; what is empty is left out. */
export function knobs(form: HTMLFormElement): Knobs {
  const chosen: Record<string, number> = {};
  for (const name of ["max_tokens", "temperature", "top_p"]) {
    const value = fieldValue(form, name);
    if (value !== "") chosen[name] = Number(value);
  }
  return chosen;
}

export function fieldValue(form: HTMLFormElement, name: string): string {
  const field = form.elements.namedItem(name);
  return field instanceof HTMLInputElement || field instanceof HTMLTextAreaElement ? field.value : "";
}

export function find<T extends HTMLElement>(root: ParentNode, selector: string): T {
  const element = root.querySelector<T>(selector);
  if (!element) throw new Error(`This page has no ${selector}.`);
  return element;
}

/** A line of parts, each of which stays together where the line breaks. */
export function costLine(parts: readonly string[]): HTMLElement {
  const line = document.createElement("p");
  line.className = "turn-cost";
  for (const part of parts) {
    const span = document.createElement("span");
    span.textContent = part;
    line.append(span);
  }
  return line;
}

/** What went wrong, in words, under an answer; with the way to more credit where that is missing. */
export function explain(turn: HTMLElement, error: unknown, labels: DOMStringMap): void {
  const note = document.createElement("p");
  const stopped = error instanceof DOMException && error.name === "AbortError";
  note.className = stopped ? "turn-cost" : "field-error";
  if (stopped) note.textContent = labels.stopped ?? "";
  else note.textContent = error instanceof Refused ? error.message : (labels.failed ?? String(error));
  turn.append(note);
  if (error instanceof Refused && error.code === "insufficient_credit") {
    const link = document.createElement("a");
    link.className = "link text-sm";
    link.href = labels.wallet ?? "";
    link.textContent = labels.topUp ?? "";
    turn.append(link);
  }
}

/** The words of an answer that is no stream: OpenAI's error shape, or a page of ours. */
async function refusal(response: Response): Promise<Refused> {
  try {
    const body = (await response.json()) as Chunk;
    return new Refused(body.error?.message ?? response.statusText, body.error?.code ?? "");
  } catch {
    return new Refused(`${response.status} ${response.statusText}`, "");
  }
}
