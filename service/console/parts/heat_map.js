// The probability that two rollouts are equivalent, for every pair of a group.
import { html, useEffect, useId, useRef, useState } from "../view.js";
import { colourOf, letterOf } from "./classes.js";
import { onThemeChange } from "./theme_button.js";

/** Width in pixels of the classes' colours beside the cells. */
const BAND = 16;
/** Width in pixels from which on larger cells would tell no more. */
const MAX_PIXELS = 460;

/**
 * `probabilities` is n × n; `order` gives the rollout of each row; `selected` is a pair of
 * rollouts. Probabilities above `threshold` have a dot. `onSelect(a, b)` follows pointer and arrows.
 */
export function HeatMap({ probabilities, order, partition, threshold, selected, onSelect }) {
  const canvas = useRef(null);
  const description = useId();
  const [pixels, setPixels] = useState(0);
  const count = order.length;

  useEffect(() => {
    const frame = canvas.current.parentElement;
    const measure = () => setPixels(Math.min(frame.clientWidth, MAX_PIXELS));
    const observer = new ResizeObserver(measure);
    observer.observe(frame);
    measure();
    return () => observer.disconnect();
  }, []);

  useEffect(() => {
    if (!pixels) return undefined;
    const paint = () =>
      draw(canvas.current, pixels, { probabilities, order, partition, threshold, selected });
    paint();
    return onThemeChange(paint);
  }, [pixels, probabilities, order, partition, threshold, selected]);

  const cellAt = (event) => {
    const box = canvas.current.getBoundingClientRect();
    const size = (pixels - BAND) / count;
    const place = (offset) => Math.floor((offset - BAND) / size);
    const [column, row] = [place(event.clientX - box.left), place(event.clientY - box.top)];
    const inside = (index) => index >= 0 && index < count;
    return inside(row) && inside(column) ? [order[row], order[column]] : null;
  };
  const point = (event) => {
    const cell = cellAt(event);
    if (cell) onSelect(...cell);
  };
  const move = (event) => {
    const steps = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
    const step = steps[event.key];
    if (!step) return;
    event.preventDefault();
    const within = (index) => Math.min(Math.max(index, 0), count - 1);
    const [row, column] = selected.map((rollout) => order.indexOf(rollout));
    onSelect(order[within(row + step[0])], order[within(column + step[1])]);
  };

  const [a, b] = selected;
  return html`
    <div class="heat-frame">
      <canvas
        ref=${canvas}
        class="heat-map"
        tabindex="0"
        role="application"
        aria-label="Heat map of pair probabilities; the arrow keys choose a pair"
        aria-describedby=${description}
        onClick=${point}
        onPointerMove=${(event) => event.buttons === 1 && point(event)}
        onKeyDown=${move}
      ></canvas>
    </div>
    <div class="heat-legend">
      <span aria-hidden="true">0</span>
      <span class="heat-scale" aria-hidden="true">
        <span class="heat-threshold" style=${{ left: `${100 * threshold}%` }}></span>
      </span>
      <span aria-hidden="true">1</span>
    </div>
    <p class="visually-hidden" id=${description} aria-live="polite">
      Rollouts ${a + 1} and ${b + 1}: ${probabilities[a][b].toFixed(2)}
    </p>
  `;
}

function draw(canvas, pixels, { probabilities, order, partition, threshold, selected }) {
  const ratio = devicePixelRatio || 1;
  canvas.width = canvas.height = Math.round(pixels * ratio);
  canvas.style.width = canvas.style.height = `${pixels}px`;
  const pen = canvas.getContext("2d");
  pen.scale(ratio, ratio);
  const style = getComputedStyle(canvas);
  const colour = (name) => style.getPropertyValue(name).trim();
  const [low, high] = ["--heat-low", "--heat-high"].map((name) => channels(colour(name)));
  const [surface, ink] = [colour("--surface"), colour("--ink")];
  const size = (pixels - BAND) / order.length;
  const gap = size > 8 ? 1 : 0;

  order.forEach((rollout, row) => {
    const at = BAND + row * size;
    const first = row === 0 || partition[order[row - 1]] !== partition[rollout];
    pen.fillStyle = colour(colourOf(partition[rollout]));
    pen.fillRect(0, at + (first ? gap : 0), BAND - 4, size - (first ? gap : 0));
    pen.fillRect(at + (first ? gap : 0), 0, size - (first ? gap : 0), BAND - 4);
    order.forEach((other, column) => {
      const probability = probabilities[rollout][other];
      pen.fillStyle = mixed(low, high, probability);
      pen.fillRect(BAND + column * size, at, size - gap, size - gap);
      if (probability > threshold && size >= 5) {
        pen.fillStyle = probability > 0.5 ? surface : ink;
        pen.beginPath();
        pen.arc(BAND + (column + 0.5) * size, at + size / 2, Math.min(size * 0.11, 3), 0, 7);
        pen.fill();
      }
    });
  });
  letters(pen, order, partition, size, colour, style.fontFamily);
  pen.strokeStyle = ink;
  pen.lineWidth = 2;
  const [row, column] = selected.map((rollout) => order.indexOf(rollout));
  pen.strokeRect(BAND + column * size - 1, BAND + row * size - 1, size + 1, size + 1);
}

/** A class's letter in the middle of its band. */
function letters(pen, order, partition, size, colour, family) {
  pen.font = `600 10px ${family}`;
  pen.textAlign = "center";
  pen.textBaseline = "middle";
  for (let start = 0, end; start < order.length; start = end) {
    const number = partition[order[start]];
    for (end = start; end < order.length && partition[order[end]] === number; ) end++;
    if ((end - start) * size < 11) continue;
    const middle = BAND + ((start + end) / 2) * size;
    pen.fillStyle = isLight(colour(colourOf(number))) ? "#14171a" : "#ffffff";
    pen.fillText(letterOf(number), (BAND - 4) / 2, middle);
    pen.fillText(letterOf(number), middle, (BAND - 4) / 2);
  }
}

/** Whether dark letters are easier to read on a colour than white ones. */
function isLight(hex) {
  const [red, green, blue] = channels(hex).map((channel) => (channel / 255) ** 2.2);
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179;
}

function channels(hex) {
  return [1, 3, 5].map((start) => parseInt(hex.slice(start, start + 2), 16));
}

function mixed(low, high, share) {
  const parts = low.map((channel, index) => Math.round(channel + share * (high[index] - channel)));
  return `rgb(${parts.join(" ")})`;
}
