// How classes and rewards are made: what can be changed without asking the model again.
import { html, useState } from "../../view.js";
import { DEFAULTS, SHAPED, moreOf } from "./request.js";

const LINKAGES = ["single", "average", "complete", "greedy"];

/**
 * `models` come from /v1/models; `choices` are the names that a request may give; `used` is the
 * model of the last answer, with the threshold and the linkage that made it.
 */
export function Shaping({ options, onChange, models, choices, used }) {
  const set = (changed) => onChange({ ...options, ...changed });
  const model = models?.find(({ id }) => id === options.model) ?? models?.[0];
  const isKnown = !models || options.model === null || model.id === options.model;
  const threshold = options.threshold ?? used?.threshold ?? model?.threshold ?? 0.5;
  const isShaped = SHAPED.includes(options.objective);
  const isChanged = Object.keys(DEFAULTS).some((name) => options[name] !== DEFAULTS[name]);
  const [isWide] = useState(() => matchMedia("(min-width: 961px)").matches);
  let fault = null;
  try {
    moreOf(options.more);
  } catch (error) {
    fault = error.message;
  }
  return html`
    <details class="card shaping" open=${isWide}>
      <summary><h2>Classes and rewards</h2></summary>
      <div class="stack tight">
      <${Slider}
        name="threshold"
        label="Threshold"
        hint="Two rollouts are equivalent above it."
        min="0"
        max="1"
        step="0.01"
        value=${threshold}
        onValue=${(value) => set({ threshold: value })}
      />
      ${model &&
      Object.keys(model.operating_points).length > 0 &&
      html`<div class="row points" role="group" aria-label="Thresholds of the model">
        ${Object.entries(model.operating_points).map(
          ([name, value]) => html`<button
            type="button"
            class="pill"
            aria-pressed=${threshold === value}
            onClick=${() => set({ threshold: value })}
          >
            ${name} <span class="hint">${value}</span>
          </button>`,
        )}
      </div>`}
      <${Choice}
        name="linkage"
        label="Linkage"
        value=${options.linkage ?? used?.linkage ?? model?.linkage ?? ""}
        names=${LINKAGES}
        onValue=${(linkage) => set({ linkage })}
      />
      ${models &&
      html`<div class="row halves">
        <${Choice}
          name="model"
          label="Model"
          value=${isKnown ? model.id : options.model}
          names=${[...models.map(({ id }) => id), ...(isKnown ? [] : [options.model])]}
          onValue=${(id) =>
            set({ model: id === models[0].id ? null : id, threshold: null, linkage: null, notion: null, criterion: null })}
        />
        ${model.notions.length > 0 &&
        html`<${Choice}
          name="notion"
          label="Equivalent by"
          value=${options.notion ?? model.notion}
          names=${model.notions}
          onValue=${(notion) => set({ notion: notion === model.notion ? null : notion, criterion: null })}
        />`}
      </div>
      ${model.instructable &&
      html`<label class="field">
        Two rollouts are the same if
        <textarea
          rows="2"
          placeholder="your criterion, in words for the judge"
          value=${options.criterion ?? ""}
          onChange=${(event) => set({ criterion: event.currentTarget.value.trim() || null, notion: null })}
        ></textarea>
      </label>`}`}
      <hr />
      <div class="row halves">
        <${Choice}
          name="objective"
          label="Objective"
          value=${options.objective}
          names=${choices?.objective ?? [options.objective]}
          onValue=${(objective) => set({ objective })}
        />
        <${Choice}
          name="advantage"
          label="Advantage"
          value=${options.advantage}
          names=${["none", ...(choices?.advantage ?? [options.advantage])]}
          onValue=${(advantage) => set({ advantage })}
        />
      </div>
      <${Slider}
        name="exponent"
        label="Exponent of diversity"
        hint=${isShaped ? "Above 1, only rollouts that are nearly alone keep their reward." : "This objective does not read it."}
        disabled=${!isShaped}
        min="0.1"
        max="4"
        step="0.1"
        value=${options.exponent}
        onValue=${(exponent) => set({ exponent })}
      />
      <${Slider}
        name="floor"
        label="Floor of diversity"
        hint=${isShaped ? "What a rollout keeps even if all the others say the same." : "This objective does not read it."}
        disabled=${!isShaped}
        min="0"
        max="1"
        step="0.01"
        value=${options.floor}
        onValue=${(floor) => set({ floor })}
      />
      <details>
        <summary>More reward options</summary>
        <div class="field">
          <label for="more">As JSON</label>
          <textarea
            id="more"
            class="mono"
            rows="2"
            placeholder='{"k": 4}'
            value=${options.more}
            onInput=${(event) => set({ more: event.currentTarget.value })}
          ></textarea>
          ${fault && html`<p class="bad">${fault}</p>`}
        </div>
      </details>
      ${isChanged &&
      html`<div><button type="button" onClick=${() => onChange(DEFAULTS)}>Back to the defaults</button></div>`}
      </div>
    </details>
  `;
}

function Slider({ name, label, hint, value, onValue, ...range }) {
  return html`
    <div class="field">
      <div class="field-head">
        <label for=${name}>${label}</label>
        <output for=${name}>${Number(value).toFixed(2)}</output>
      </div>
      <input
        id=${name}
        type="range"
        aria-describedby=${`${name}-hint`}
        ...${range}
        value=${value}
        onInput=${(event) => onValue(event.currentTarget.valueAsNumber)}
      />
      <p class="hint" id=${`${name}-hint`}>${hint}</p>
    </div>
  `;
}

function Choice({ name, label, value, names, onValue }) {
  return html`
    <div class="field">
      <label for=${name}>${label}</label>
      <select id=${name} value=${value} onChange=${(event) => onValue(event.currentTarget.value)}>
        ${names.map((one) => html`<option value=${one}>${one}</option>`)}
      </select>
    </div>
  `;
}
