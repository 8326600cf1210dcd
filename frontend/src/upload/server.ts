// What the uploader asks the store: may these files come, where to send one, and one commit at the end.

export type Offer = { url: string; sha256: string }; // an upload of this file that was begun and can be gone on with
export type Look = { path: string; problem: string; convertible: boolean; unfinished: Offer | null };
export type Addition = { path: string; sha256: string };
export type Problem = { path: string; message: string };
export type Purpose = "file" | "conversion" | "data";
const CHUNK_BYTES = 32 * 1024 * 1024;
type Refusal = { error?: { message?: string; problems?: Problem[] } };

export class Refused extends Error {
  constructor(
    message: string,
    readonly problems: Problem[] = [],
  ) {
    super(message);
  }
}

export class Server {
  /** ``place`` is what the page says: data-organization, -uploads, -look, -commit (addresses), and -chunk (bytes), which is optional. */
  constructor(
    readonly place: DOMStringMap,
    readonly csrf: string,
    readonly purpose: Purpose = "file",
  ) {}

  get chunkBytes(): number {
    return Number(this.place.chunk) || CHUNK_BYTES;
  }

  /** Names and sizes only, before a byte is read or sent. */
  async look(files: { path: string; size: number }[]): Promise<Look[]> {
    const said = (await this.#json(this.place.look, { files })) as { files: Look[] };
    return said.files;
  }

  /** Where to send a file; null where the store has these bytes already. */
  async create(path: string, size: number, sha256: string): Promise<string | null> {
    const metadata = { organization: this.place.organization ?? "", filename: path, sha256, purpose: this.purpose };
    const words = Object.entries(metadata).map(([name, value]) => `${name} ${encoded(value)}`);
    const response = await fetch(this.place.uploads ?? "", {
      method: "POST",
      headers: {
        "Tus-Resumable": "1.0.0",
        "Upload-Length": String(size),
        "Upload-Metadata": words.join(","),
        "X-CSRFToken": this.csrf,
      },
    });
    if (!response.ok) throw await refusal(response);
    if (size > 0 && response.headers.get("Upload-Offset") === String(size)) return null;
    // The path alone: a store behind two names answers on the one that the page came from.
    const found = new URL(response.headers.get("Location") ?? "", location.href);
    return found.pathname + found.search;
  }

  /** Makes the commit, or of training data its files; returns the page to go on with. */
  async commit(title: string, files: Addition[], isReplacing: boolean): Promise<string> {
    const said = (await this.#json(this.place.commit, { title, files, replace: isReplacing })) as { url: string };
    return said.url;
  }

  /** Has the pickle that has arrived converted, to ``data-start``. */
  async convert(sha256: string, base: string): Promise<void> {
    await this.#json(this.place.start, { sha256, base });
  }

  async #json(address = "", body: object): Promise<unknown> {
    const response = await fetch(address, {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-CSRFToken": this.csrf },
      body: JSON.stringify(body),
    });
    if (!response.ok) throw await refusal(response);
    return response.json();
  }
}

/** The store's own sentence, where the answer has one. */
async function refusal(response: Response): Promise<Refused> {
  return refusalOf(await response.text(), `${response.status} ${response.statusText}`);
}

export function refusalOf(body: string, otherwise: string): Refused {
  try {
    const { error } = JSON.parse(body) as Refusal;
    return new Refused(error?.message ?? otherwise, error?.problems);
  } catch {
    return new Refused(otherwise);
  }
}

/** Base64 of the UTF-8 bytes, as tus wants its metadata. */
function encoded(text: string): string {
  return btoa(String.fromCharCode(...new TextEncoder().encode(text)));
}
