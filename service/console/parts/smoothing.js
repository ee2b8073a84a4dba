// Curves without their noise: a step has few groups, and its mean jumps with them.
import { html } from "../view.js";

const POINTS = [1, 5, 20, 100];

/** The mean of each point and of the `count - 1` before it, by weight; null where none is known. */
export function smoothed(values, weights, count) {
  if (count === 1) return values;
  let sum = 0;
  let weight = 0;
  let known = 0;
  const add = (index, sign) => {
    if (values[index] === null) return;
    sum += sign * weights[index] * values[index];
    weight += sign * weights[index];
    known += sign;
  };
  return values.map((_, index) => {
    add(index, 1);
    if (index >= count) add(index - count, -1);
    return known > 0 ? sum / weight : null;
  });
}

export function SmoothingChoice({ count, onCount }) {
  return html`
    <label class="row smoothing">
      Smoothing
      <select value=${count} onChange=${(event) => onCount(Number(event.currentTarget.value))}>
        ${POINTS.map(
          (points) => html`<option value=${points} selected=${points === count}>
            ${points === 1 ? "none" : `mean of ${points} points`}
          </option>`,
        )}
      </select>
    </label>
  `;
}
