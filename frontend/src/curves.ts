// <section data-curves="URL">: the curves of one training or several, drawn by uPlot in each <div data-panel="loss,val_loss"
// data-labels="…">. The JSON is {"live", "curves": [{"label", "step": [], and a list for each name, with null where there is nothing}]}.
// The store sends as many points as a screen has room for, however long the training was; while it is live they are asked for again.
import "uplot/dist/uPlot.min.css";
import uPlot from "uplot";
import { THEME_CHANGED } from "./islands/theme";

type Column = (number | null)[];
type Curve = { label: string; step: number[] } & Record<string, Column>;
type Answer = { live: boolean; curves: Curve[] };
const HEIGHT_PX = 240;
const AGAIN_MS = 2_000;
const PATIENCE = 20; // what took long is asked for seldom: at most a twentieth of the time is spent on it
const PAINTS = ["accent", "second", "third", "fourth"];
const BAND = ["loss_low", "loss_high"] as const;

class Panel {
  readonly names: string[];
  readonly labels: string[];
  #plot: uPlot | null = null;
  #shape = ""; // of what is drawn: where it changes the plot is made anew

  constructor(readonly host: HTMLElement) {
    this.names = (host.dataset.panel ?? "").split(",");
    this.labels = (host.dataset.labels ?? "").split(",");
    new ResizeObserver(() => this.#plot?.setSize({ width: host.clientWidth, height: HEIGHT_PX })).observe(host);
  }

  draw(curves: Curve[], words: DOMStringMap, isAnew = false): void {
    const lines = curves.flatMap((curve, index) => this.#lines(curve, index, curves.length));
    const shown = lines.filter(({ values }) => values.some((value) => value !== null));
    this.host.dataset.points = String(Math.max(0, ...curves.map((curve) => curve.step.length)));
    if (!shown.length) return void (this.#plot ?? (this.host.textContent = words.nothing ?? ""));
    const hasBand = curves.length === 1 && this.names[0] === "loss" && differs(curves[0]);
    const band = hasBand ? BAND.map((name) => curves[0]?.[name] ?? []) : [];
    const tables = shown.map(({ steps, values }) => [steps, values] as uPlot.AlignedData);
    if (band.length) tables.push([curves[0]?.step ?? [], ...band] as uPlot.AlignedData);
    const data = uPlot.join(tables);
    const shape = shown.map(({ label }) => label).join() + String(hasBand);
    if (this.#plot && shape === this.#shape && !isAnew) return this.#plot.setData(data);
    this.#shape = shape;
    this.#make(shown, hasBand, data, words.step ?? "");
  }

  #lines(curve: Curve, index: number, count: number): Line[] {
    return this.names.map((name, at) => ({
      label: count > 1 ? `${curve.label}, ${this.labels[at] ?? name}` : (this.labels[at] ?? name),
      steps: curve.step,
      values: curve[name] ?? [],
      paint: PAINTS[(count > 1 ? index : at) % PAINTS.length] ?? "accent",
      isDashed: count > 1 && at > 0,
    }));
  }

  #make(lines: Line[], hasBand: boolean, data: uPlot.AlignedData, step: string): void {
    this.#plot?.destroy();
    this.host.textContent = "";
    const paint = paints(this.host);
    const edge: uPlot.Series = { label: "", stroke: "transparent", width: 0, points: { show: false } };
    const first = lines.length + 1;
    const options: uPlot.Options = {
      width: this.host.clientWidth,
      height: HEIGHT_PX,
      cursor: { points: { size: 7 } },
      scales: { x: { time: false } },
      axes: [axis(paint, {}), axis(paint, { size: 64, values: (_plot, splits) => splits.map(short) })],
      series: [{ label: step }, ...lines.map((line) => drawn(line, paint)), ...(hasBand ? [edge, edge] : [])],
      ...(hasBand ? { bands: [{ series: [first + 1, first], fill: paint("band") }] } : {}),
    };
    this.#plot = new uPlot(options, data, this.host);
    if (hasBand) for (const row of [...this.host.querySelectorAll(".u-legend .u-series")].slice(first)) row.remove();
  }
}

type Line = { label: string; steps: number[]; values: Column; paint: string; isDashed: boolean };

class Curves {
  readonly #panels: Panel[];
  #curves: Curve[] = [];

  constructor(readonly host: HTMLElement) {
    this.#panels = [...host.querySelectorAll<HTMLElement>("[data-panel]")].map((each) => new Panel(each));
    const anew = () => this.#draw(true);
    document.addEventListener(THEME_CHANGED, anew);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", anew);
    void this.#follow();
  }

  async #follow(): Promise<void> {
    const began = performance.now();
    const answer = await this.#load();
    if (answer) {
      this.#curves = answer.curves;
      this.#draw(false);
    }
    const wait = Math.max(AGAIN_MS, PATIENCE * (performance.now() - began));
    if (answer?.live !== false) setTimeout(() => void this.#follow(), wait);
  }

  /** Null where the store does not answer now: it is asked again. */
  async #load(): Promise<Answer | null> {
    try {
      const response = await fetch(this.host.dataset.curves ?? "", { headers: { Accept: "application/json" } });
      return response.ok ? ((await response.json()) as Answer) : null;
    } catch {
      return null;
    }
  }

  #draw(isAnew: boolean): void {
    for (const each of this.#panels) each.draw(this.#curves, this.host.dataset, isAnew);
  }
}

/** Whether points are means of several steps, which have extremes. */
function differs(curve?: Curve): boolean {
  return curve?.loss_low?.some((low, index) => low !== (curve.loss_high?.[index] ?? low)) ?? false;
}

function drawn({ label, values, paint, isDashed }: Line, colour: (name: string) => string): uPlot.Series {
  const stroke = colour(paint);
  const isSparse = values.filter((value) => value !== null).length < values.length / 2;
  return {
    label,
    stroke,
    width: 1.5,
    spanGaps: true, // it is evaluated now and then only
    points: { show: isSparse || values.length < 3, size: 5, fill: stroke },
    value: (_plot, value) => (value === null || value === undefined ? "–" : short(value)),
    ...(isDashed ? { dash: [6, 4] } : {}),
  };
}

function axis(paint: (name: string) => string, more: uPlot.Axis): uPlot.Axis {
  const line = { stroke: paint("line"), width: 1 };
  return {
    stroke: paint("faint"),
    font: `12px ${getComputedStyle(document.body).fontFamily}`,
    ticks: line,
    grid: line,
    ...more,
  };
}

/** 0.00019 is "1.9e-4", 2,500,000 is "2.5M". */
function short(value: number): string {
  if (value !== 0 && Math.abs(value) < 0.001)
    return value.toExponential(value.toPrecision(1) === String(value) ? 0 : 1);
  const digits = { maximumSignificantDigits: 4, notation: "compact" } as const;
  return new Intl.NumberFormat(document.documentElement.lang, digits).format(value);
}

/** Colours as the canvas needs them: light-dark() is resolved by the browser on an element that wears it. */
function paints(host: HTMLElement): (name: string) => string {
  const shelf = document.createElement("div");
  shelf.className = "chart-paint";
  host.append(shelf);
  const found = new Map<string, string>();
  for (const name of [...PAINTS, "band", "faint", "line"]) {
    const probe = shelf.appendChild(document.createElement("i"));
    probe.className = `paint-${name}`;
    found.set(name, getComputedStyle(probe).color);
  }
  shelf.remove();
  return (name) => found.get(name) ?? "currentcolor";
}

for (const host of document.querySelectorAll<HTMLElement>("[data-curves]")) new Curves(host);
