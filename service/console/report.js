// The page that `darling-reward report` writes: one run's curves and sampled groups, without a service.
import { CollapseNote, Curves, RUN_COLOURS } from "./parts/curves.js";
import { GroupView } from "./parts/group_view.js";
import { StepPicker, nearest } from "./parts/step_picker.js";
import { html, render, useMemo, useState } from "./view.js";

const { name, source, made, curve, groups } = JSON.parse(document.getElementById("report").textContent);

function Report() {
  const [step, setStep] = useState(null);
  const runs = useMemo(() => [{ run: name, colour: RUN_COLOURS[0], ...curve }], []);
  const sampled = useMemo(() => [...new Set(groups.map((group) => group.step))].sort((a, b) => a - b), []);
  const pick = (at) => setStep(sampled.length ? sampled[nearest(sampled, at)] : null);
  const shown = step === null ? groups : groups.filter((group) => group.step === step);
  return html`
    <main>
      <div class="page-head">
        <div>
          <h1>${name}</h1>
          <p class="lead">${source} Written ${made}.</p>
        </div>
      </div>
      <div class="stack">
        <${Latest} />
        <${CollapseNote} runs=${runs} />
        <${Curves} runs=${runs} step=${step} onStep=${pick} />
        ${groups.length > 0 &&
        html`
          <section class="stack" aria-label="Sampled groups">
            <div class="card-head">
              <h2>${step === null ? `${groups.length} sampled groups` : `Sampled groups of step ${step.toLocaleString("en")}`}</h2>
              <div class="row">
                <${StepPicker} steps=${sampled} step=${step} onStep=${pick} />
                ${step !== null && html`<button type="button" onClick=${() => setStep(null)}>Show all</button>`}
              </div>
            </div>
            ${shown.map((group) => html`<${GroupView} key=${group.id} group=${group} />`)}
          </section>
        `}
      </div>
    </main>
  `;
}

/** The figures of the last step, in numbers. */
function Latest() {
  const { steps, series } = curve;
  const sum = (values) => values.reduce((total, value) => total + value, 0);
  const last = (values) => values.findLast((value) => value !== null);
  const figures = [
    ["Steps", `${steps[0].toLocaleString("en")} to ${steps.at(-1).toLocaleString("en")}`],
    ["Rollouts a group", (sum(series.rollouts) / sum(series.groups)).toFixed(1)],
    ["Diversity at the end", last(series.diversity).toFixed(2)],
    ["Collapsed at the end", `${Math.round(100 * last(series.collapsed_share))} %`],
    ["Quality at the end", last(series.quality)?.toFixed(2)],
  ];
  return html`
    <dl class="figures">
      ${figures
        .filter(([, value]) => value !== undefined)
        .map(
          ([title, value]) => html`<div>
            <dt>${title}</dt>
            <dd>${value}</dd>
          </div>`,
        )}
    </dl>
  `;
}

render(html`<${Report} />`, document.getElementById("app"));
