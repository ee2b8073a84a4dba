// Which step of a run is looked at: by number, or one after the other.
import { html, useId } from "../view.js";

/** `steps` ascend; `step` is one of them, or null. */
export function StepPicker({ steps, step, onStep }) {
  const field = useId();
  const index = step === null ? -1 : nearest(steps, step);
  const move = (by) => onStep(steps[Math.min(Math.max(index + by, 0), steps.length - 1)]);
  const choose = (event) => {
    const number = event.currentTarget.valueAsNumber;
    if (Number.isFinite(number)) onStep(steps[nearest(steps, number)]);
  };
  return html`
    <div class="row step-picker">
      <label for=${field}>Step</label>
      <input
        id=${field}
        type="number"
        min=${steps[0]}
        max=${steps.at(-1)}
        value=${step ?? ""}
        placeholder="none"
        onChange=${choose}
      />
      <button type="button" aria-label="Step before" disabled=${index <= 0} onClick=${() => move(-1)}>←</button>
      <button type="button" aria-label="Step after" disabled=${index === steps.length - 1} onClick=${() => move(1)}>→</button>
    </div>
  `;
}

/** Index of the step that is nearest. */
export function nearest(steps, step) {
  let low = 0;
  for (let high = steps.length - 1; low < high; ) {
    const middle = (low + high) >> 1;
    if (steps[middle] < step) low = middle + 1;
    else high = middle;
  }
  return low > 0 && step - steps[low - 1] <= steps[low] - step ? low - 1 : low;
}
