// One chart: lines over steps, drawn by uPlot, with spans marked and a step that can be picked.
import uPlot from "../vendor/uplot.js";
import { html, useEffect, useMemo, useRef } from "../view.js";
import { onThemeChange } from "./theme_button.js";

const HEIGHT = 190;
const DRAG_PIXELS = 4;
/** Pixels that a pointer moves at least when it chooses a span to zoom into. */
const DASHES = [[], [6, 4]];

/**
 * `lines` are `{label, steps, values, colour, dash}`: the colour is a custom property, and `dash` 1
 * draws it dashed. `spans` are `{from, to, colour}`. All charts of a page share one cursor.
 */
export function Curve({ title, hint, lines, bounds, spans, step, onStep }) {
  const host = useRef(null);
  const plot = useRef(null);
  const shown = useRef({});
  const data = useMemo(() => tableOf(lines), [lines]);
  shown.current = { data, spans, step, onStep };
  const names = JSON.stringify(lines.map(({ label, colour, dash }) => [label, colour, dash]));

  useEffect(() => {
    const element = host.current;
    const draw = () => {
      plot.current?.destroy();
      plot.current = newPlot(element, lines, bounds, shown);
    };
    draw();
    const observer = new ResizeObserver(() =>
      plot.current?.setSize({ width: element.clientWidth, height: HEIGHT }),
    );
    observer.observe(element);
    const stop = onThemeChange(draw);
    return () => {
      stop();
      observer.disconnect();
      plot.current.destroy();
      plot.current = null;
    };
  }, [names]);
  useEffect(() => {
    const chart = plot.current;
    const { min, max } = chart.scales.x;
    // A new chart has no range yet.
    const isZoomed = min != null && (min > chart.data[0][0] || max < chart.data[0].at(-1));
    chart.setData(data, !isZoomed);
    showLatest(chart);
    if (isZoomed) chart.redraw();
  }, [lines, spans, step]);

  return html`
    <section class="card curve">
      <h3>${title}</h3>
      <p class="hint">${hint}</p>
      <div ref=${host} role="img" aria-label=${described(title, lines)}></div>
    </section>
  `;
}

/** The lines as uPlot's table: one column of steps, and one for each line. */
function tableOf(lines) {
  const [first] = lines;
  if (lines.every(({ steps }) => steps === first.steps)) {
    return [first.steps, ...lines.map(({ values }) => values)];
  }
  return uPlot.join(lines.map(({ steps, values }) => [steps, values]));
}

function described(title, lines) {
  const latest = lines.map(({ label, steps, values }) => {
    const value = values.findLast((one) => one !== null);
    return `${label} ${value === undefined ? "unknown" : shortened(value)} up to step ${steps.at(-1)}`;
  });
  return `${title} over the steps: ${latest.join("; ")}`;
}

function shortened(value) {
  return value === null || value === undefined ? "–" : value.toFixed(Math.abs(value) >= 100 ? 0 : 2);
}

function newPlot(host, lines, bounds, shown) {
  const { data } = shown.current;
  const style = getComputedStyle(host);
  const colour = (name) => style.getPropertyValue(name).trim();
  const axis = {
    stroke: colour("--muted"),
    font: `11px ${style.fontFamily}`,
    grid: { stroke: colour("--line"), width: 1 },
    ticks: { show: false },
  };
  const plot = new uPlot(
    {
      width: host.clientWidth,
      height: HEIGHT,
      scales: { x: { time: false }, y: { range: bounds ?? padded } },
      axes: [
        { ...axis, space: 60, size: 28, incrs: WHOLE },
        { ...axis, size: 44, values: (_, values) => values.map((value) => Number(value.toPrecision(3))) },
      ],
      series: [
        { label: "step", value: (chart, step) => saidStep(chart, step, lines) },
        ...lines.map(({ label, colour: name, dash }) => ({
          label,
          stroke: colour(name),
          width: 1.8,
          dash: DASHES[dash ?? 0],
          spanGaps: true,
          points: { show: data[0].length < 3 },
          value: (_, value) => shortened(value),
        })),
      ],
      cursor: {
        sync: { key: "steps" },
        points: { size: 7 },
        drag: { x: true, y: false, dist: DRAG_PIXELS },
      },
      legend: { live: true },
      hooks: {
        drawAxes: [(chart) => drawSpans(chart, shown.current.spans, colour)],
        draw: [(chart) => drawStep(chart, shown.current.step, colour("--ink"))],
        setCursor: [(chart) => chart.cursor.idx === null && showLatest(chart)],
      },
    },
    data,
    host,
  );
  pickByClick(plot, shown);
  showLatest(plot);
  return plot;
}

const WHOLE = [1, 2, 5].flatMap((digit) => Array.from({ length: 12 }, (_, power) => digit * 10 ** power)).sort((a, b) => a - b);
/** Distances of the marks on the axis of steps. */

/** The step that a legend shows; without a pointer it shows the latest value of each line, which
 * may be those of several steps. */
function saidStep({ cursor }, step, lines) {
  const isPointed = cursor?.idx !== null && cursor?.idx !== undefined;
  if (!isPointed && new Set(lines.map(({ steps }) => steps.at(-1))).size > 1) return "latest";
  return step === null ? "–" : step.toLocaleString("en");
}

/** A range that leaves some room above and below, and is not empty. */
function padded(_, min, max) {
  if (min === null) return [0, 1];
  const room = (max - min || Math.abs(max) || 1) * 0.08;
  return [min >= 0 ? Math.max(0, min - room) : min - room, max + room];
}

/** The legend shows the latest values while no pointer is over the charts. */
function showLatest(chart) {
  const { idx } = chart.cursor;
  if ((idx === null || idx === undefined) && chart.data[0].length) {
    chart.setLegend({ idxs: chart.data.map((values) => values.findLastIndex((value) => value != null)) }, false);
  }
}

function drawSpans({ ctx, bbox, valToPos }, spans, colour) {
  ctx.save();
  ctx.globalAlpha = 0.16;
  for (const { from, to, colour: name } of spans) {
    ctx.fillStyle = colour(name);
    const left = Math.max(valToPos(from, "x", true), bbox.left);
    const right = Math.min(valToPos(to, "x", true), bbox.left + bbox.width);
    if (right >= left) ctx.fillRect(left, bbox.top, Math.max(right - left, 2), bbox.height);
  }
  ctx.restore();
}

function drawStep({ ctx, bbox, valToPos }, step, colour) {
  if (step === null) return;
  const at = valToPos(step, "x", true);
  if (at < bbox.left || at > bbox.left + bbox.width) return;
  ctx.save();
  ctx.strokeStyle = colour;
  ctx.lineWidth = devicePixelRatio || 1;
  ctx.setLineDash([3, 3]);
  ctx.beginPath();
  ctx.moveTo(at, bbox.top);
  ctx.lineTo(at, bbox.top + bbox.height);
  ctx.stroke();
  ctx.restore();
}

function pickByClick(plot, shown) {
  let pressedAt = 0;
  plot.over.addEventListener("mousedown", (event) => {
    pressedAt = event.clientX;
  });
  plot.over.addEventListener("click", (event) => {
    const { idx } = plot.cursor;
    if (idx === null || idx === undefined || Math.abs(event.clientX - pressedAt) > DRAG_PIXELS) return;
    shown.current.onStep(plot.data[0][idx]);
  });
}
