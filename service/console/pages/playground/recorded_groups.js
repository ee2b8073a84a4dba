// Groups that the service has recorded of its runs.
import { call } from "../../api.js";
import { Failure } from "../../parts/problem.js";
import { html, useEffect, useState } from "../../view.js";
import { groupFrom } from "./reading.js";
import { optionsOfRecorded } from "./request.js";

/** Groups of a step that are listed. */
const MAX_SHOWN = 50;

export function RecordedGroups({ onGroup }) {
  const [runs, setRuns] = useState(null);
  const [run, setRun] = useState(null);
  const [step, setStep] = useState(null);
  const [groups, setGroups] = useState(null);
  const [failure, setFailure] = useState(null);

  useEffect(() => {
    call("v1/history/runs").then(({ runs }) => {
      setRuns(runs);
      if (runs.length) choose(runs[0]);
    }, setFailure);
  }, []);
  const choose = (chosen) => {
    setRun(chosen);
    setStep(chosen.last_step);
  };
  useEffect(() => {
    if (run === null) return undefined;
    const stop = new AbortController();
    setGroups(null);
    const search = new URLSearchParams({ run: run.run, step, limit: MAX_SHOWN });
    call(`v1/history/groups?${search}`, { signal: stop.signal }).then(
      ({ groups }) => setGroups(groups),
      (error) => error.name !== "AbortError" && setFailure(error),
    );
    return () => stop.abort();
  }, [run, step]);

  if (failure) return html`<${Failure} error=${failure} />`;
  if (runs === null) return html`<p class="hint">Looking …</p>`;
  if (runs.length === 0) {
    return html`<p class="hint">
      No run is recorded yet. Groups are, as soon as a trainer names its run, as in
      <code>"run": {"name": "exp-7", "step": 120}</code>.
    </p>`;
  }
  return html`
    <div class="recorded">
      <div class="row">
        <span class="field">
          <label for="run">Run</label>
          <select id="run" onChange=${(event) => choose(runs[event.currentTarget.value])}>
            ${runs.map((one, index) => html`<option value=${index}>${one.run}</option>`)}
          </select>
        </span>
        <span class="field">
          <label for="step">Step</label>
          <input
            id="step"
            type="number"
            min=${run.first_step}
            max=${run.last_step}
            value=${step}
            onChange=${(event) => Number.isInteger(event.currentTarget.valueAsNumber) && setStep(event.currentTarget.valueAsNumber)}
          />
        </span>
      </div>
      ${groups === null && html`<p class="hint">Looking …</p>`}
      ${groups?.length === 0 && html`<p class="hint">No group of this step was kept; try one nearby.</p>`}
      ${groups?.length > 0 &&
      html`<ul class="plain">
        ${groups.map(
          (group) => html`<li>
            <button type="button" class="link" onClick=${() => onGroup(groupFrom(group), optionsOfRecorded(group))}>
              ${groupFrom(group).shownPrompt.slice(0, 90)}
            </button>
          </li>`,
        )}
      </ul>`}
    </div>
  `;
}
