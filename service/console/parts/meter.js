// A number with a bar of its size behind it.
import { html } from "../view.js";

/** `value` with `digits` decimals; `share` of the bar is filled, from 0 to 1. */
export function Meter({ value, share, digits = 2 }) {
  if (value === null || value === undefined) return html`<span class="hint">–</span>`;
  return html`
    <span class="meter">
      <span class="meter-fill" style=${{ width: `${100 * Math.min(Math.max(share, 0), 1)}%` }}></span>
      <span class="meter-value">${signed(value.toFixed(digits))}</span>
    </span>
  `;
}

/** A number's digits with a minus sign in place of the hyphen; nothing is less than a zero. */
function signed(digits) {
  return Number(digits) === 0 ? digits.replace("-", "") : digits.replace("-", "−");
}
