// <div class="chart" data-chart="URL or #id of a JSON script">: a time series drawn by uPlot. The JSON is
// {"times": [unix seconds], "series": [{"label", "unit": "tokens" | "nano" | "ms", "kind": "bars" | "line", "values": [numbers, or null where there is none]}]}.
import "uplot/dist/uPlot.min.css";
import uPlot from "uplot";
import { dollars } from "./islands/dollars";
import { THEME_CHANGED } from "./islands/theme";

type Series = { label: string; unit: "tokens" | "nano" | "ms"; kind: "bars" | "line"; values: (number | null)[] };
type Data = { times: number[]; series: Series[] };
const HEIGHT_PX = 260;
const DENSE = 200; // from here on bars are a few pixels wide and hide what is drawn over them: draw lines
const PAINTS = ["accent", "second", "third", "fourth", "fifth"] as const;

class Chart {
  #plot: uPlot | null = null;

  constructor(
    readonly host: HTMLElement,
    readonly data: Data,
  ) {
    this.#draw();
    new ResizeObserver(() => this.#plot?.setSize({ width: host.clientWidth, height: HEIGHT_PX })).observe(host);
    document.addEventListener(THEME_CHANGED, () => this.#draw());
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#draw());
  }

  #draw(): void {
    this.#plot?.destroy();
    const paint = paints(this.host);
    const { times, series } = this.data;
    const units = [...new Set(series.map((each) => each.unit))];
    const options: uPlot.Options = {
      width: this.host.clientWidth,
      height: HEIGHT_PX,
      cursor: { points: { size: 7 } },
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"), // days here are UTC, as in budgets
      scales: {
        x: { time: true, range: roomForBars },
        ...Object.fromEntries(units.map((unit) => [unit, { range: fromZero }])),
      },
      axes: [axis(paint, {}), ...units.map((unit, index) => unitAxis(paint, unit, index))],
      series: [
        {},
        ...series.map((each, index) => drawn(each, times.length, paint(PAINTS[index % PAINTS.length] ?? "accent"))),
      ],
    };
    this.#plot = new uPlot(options, [times, ...series.map((each) => each.values)], this.host);
    this.host.dataset.points = String(times.length * series.length);
  }
}

/** Half a step on each side, so that the first and the last bar are whole. */
function roomForBars(plot: uPlot, min: number, max: number): [number, number] {
  const half = (max - min) / Math.max(2 * (plot.data[0].length - 1), 1) || 43_200;
  return [min - half, max + half];
}

function fromZero(_plot: uPlot, _min: number, max: number): [number, number] {
  return [0, max > 0 ? max * 1.1 : 1];
}

function drawn({ label, unit, kind, values }: Series, points: number, stroke: string): uPlot.Series {
  const shown = (value: number | null) => (value === null ? "–" : worded(unit, value));
  const base = { label, scale: unit, stroke, width: 1.5, value: (_plot: uPlot, value: number | null) => shown(value) };
  if (kind === "line" || points > DENSE) return { ...base, points: { show: values.length < 3 } };
  const bars = uPlot.paths.bars?.({ size: [0.6, 40], radius: 0.15 });
  return { ...base, fill: stroke, points: { show: false }, ...(bars ? { paths: bars } : {}) };
}

function unitAxis(paint: (name: string) => string, unit: Series["unit"], index: number): uPlot.Axis {
  const values = (_plot: uPlot, splits: number[]) =>
    splits.map((value) => (unit === "tokens" ? short(value) : worded(unit, value)));
  return axis(paint, {
    scale: unit,
    side: index === 0 ? 3 : 1,
    values,
    size: unit === "nano" ? 84 : 64,
    grid: { show: index === 0 },
  });
}

function axis(paint: (name: string) => string, more: uPlot.Axis): uPlot.Axis {
  const line = { stroke: paint("line"), width: 1 };
  return {
    stroke: paint("faint"),
    font: `12px ${getComputedStyle(document.body).fontFamily}`,
    ticks: line,
    ...more,
    grid: { ...line, ...more.grid },
  };
}

function worded(unit: Series["unit"], value: number): string {
  if (unit === "nano") return dollars(Math.round(value));
  const number = value.toLocaleString(document.documentElement.lang, { maximumFractionDigits: value < 10 ? 1 : 0 });
  return unit === "ms" ? `${number} ms` : number;
}

/** 2,500,000 is "2.5M": an axis has little room. */
function short(value: number): string {
  return new Intl.NumberFormat(document.documentElement.lang, { notation: "compact" }).format(value);
}

/** Colours as the canvas needs them: light-dark() is resolved by the browser on an element that wears it. */
function paints(host: HTMLElement): (name: string) => string {
  const shelf = document.createElement("div");
  shelf.className = "chart-paint";
  host.append(shelf);
  const found = new Map<string, string>();
  for (const name of [...PAINTS, "faint", "line"]) {
    const probe = shelf.appendChild(document.createElement("i"));
    probe.className = `paint-${name}`;
    found.set(name, getComputedStyle(probe).color);
  }
  shelf.remove();
  return (name) => found.get(name) ?? "currentcolor";
}

async function load(source: string): Promise<Data> {
  if (source.startsWith("#")) return JSON.parse(document.querySelector(source)?.textContent ?? "null") as Data;
  const response = await fetch(source, { headers: { Accept: "application/json" } });
  if (!response.ok) throw new Error(`${source}: ${response.status}`);
  return (await response.json()) as Data;
}

for (const host of document.querySelectorAll<HTMLElement>("[data-chart]")) {
  void load(host.dataset.chart ?? "").then((data) => new Chart(host, data));
}
