// Which class dominates a prompt, and how its share moves from step to step.
import { call } from "../../api.js";
import { ClassChip, colourOf, letterOf } from "../../parts/classes.js";
import { Curve } from "../../parts/curve.js";
import { Failure } from "../../parts/problem.js";
import { html, useEffect, useState } from "../../view.js";
import { classesOver, dominating } from "./following.js";

const MAX_PROMPTS = 50;
/** Prompts of each run that can be chosen. */
const MAX_DRAWN = 6;
/** Classes that are drawn, those with the largest shares. */
const PROMPT_CHARS = 90;
const TEXT_CHARS = 240;

/** `runs` are `{run}`; what is shown is asked for when a person opens it. */
export function Dominance({ runs, step, onStep }) {
  const [isOpen, setOpen] = useState(false);
  return html`
    <details class="card dominance" onToggle=${(event) => setOpen(event.currentTarget.open)}>
      <summary><h2>Which answer dominates</h2></summary>
      <p class="hint">
        Rollouts of different prompts cannot be compared, so this follows one prompt that the run came back to. Its
        answers of all steps are put into classes together.
      </p>
      ${isOpen && html`<${Prompts} names=${runs.map(({ run }) => run)} step=${step} onStep=${onStep} />`}
    </details>
  `;
}

function Prompts({ names, step, onStep }) {
  const [prompts, setPrompts] = useState(null);
  const [chosen, setChosen] = useState(0);
  const [failure, setFailure] = useState(null);
  useEffect(() => {
    const stop = new AbortController();
    setPrompts(null);
    setChosen(0);
    setFailure(null);
    const listed = names.map(async (run) => {
      const search = new URLSearchParams({ run, limit: MAX_PROMPTS });
      const { prompts } = await call(`v1/history/prompts?${search}`, { signal: stop.signal });
      return prompts.map((prompt) => ({ run, ...prompt }));
    });
    Promise.all(listed).then((lists) => setPrompts(lists.flat()), unlessStopped(setFailure));
    return () => stop.abort();
  }, [JSON.stringify(names)]);
  if (failure) return html`<${Failure} error=${failure} />`;
  if (prompts === null) return html`<p class="hint">Looking …</p>`;
  if (prompts.length === 0) {
    return html`<p class="hint">
      A prompt can be followed when its groups were kept at several steps. None was yet: the prompts of a run
      come again in its next epoch.
    </p>`;
  }
  return html`
    <div class="field">
      <label for="followed">Prompt</label>
      <select id="followed" onChange=${(event) => setChosen(Number(event.currentTarget.value))}>
        ${prompts.map(
          (one, index) => html`<option value=${index} selected=${index === chosen}>
            ${names.length > 1 ? `${one.run}: ` : ""}${shortened(one.prompt, PROMPT_CHARS) || "(no prompt)"} (${one.steps} steps)
          </option>`,
        )}
      </select>
    </div>
    <${Followed} prompt=${prompts[chosen]} step=${step} onStep=${onStep} />
  `;
}

/** The classes of one prompt over its steps. */
function Followed({ prompt, step, onStep }) {
  const [classes, setClasses] = useState(null);
  const [failure, setFailure] = useState(null);
  useEffect(() => {
    const stop = new AbortController();
    setClasses(null);
    setFailure(null);
    classesOver(prompt, stop.signal).then(setClasses, unlessStopped(setFailure));
    return () => stop.abort();
  }, [prompt]);
  if (failure) return html`<${Failure} error=${failure} />`;
  if (classes === null) return html`<p class="hint">Comparing its answers …</p>`;
  const shown = classes.classes.slice(0, MAX_DRAWN);
  const lines = shown.map(({ shares }, number) => ({
    label: letterOf(number),
    steps: classes.steps,
    values: shares,
    colour: colourOf(number),
  }));
  return html`
    <${Curve}
      title="Share of each class"
      hint="Share of the prompt's rollouts that are in it, step by step."
      lines=${lines}
      bounds=${SHARE}
      spans=${NONE}
      step=${step}
      onStep=${onStep}
    />
    <${Leader} ...${dominating(classes)} />
    <ol class="plain dominating">
      ${shown.map(
        ({ text, shares }, number) => html`<li key=${number}>
          <${ClassChip} number=${number} />
          <span class="text">${shortened(text, TEXT_CHARS) || "(nothing)"}</span>
          <span class="hint">${percent(shares[0])} → ${percent(shares.at(-1))}</span>
        </li>`,
      )}
    </ol>
    ${classes.classes.length > MAX_DRAWN &&
    html`<p class="hint">Smaller classes that are not drawn: ${classes.classes.length - MAX_DRAWN}.</p>`}
  `;
}

function Leader({ number, since, share, before }) {
  return html`
    <p>
      <${ClassChip} number=${number} /> dominates
      ${before === null ? " at every step" : html` since step ${since.toLocaleString("en")}, after <${ClassChip} number=${before} />`},
      now with ${percent(share)} of the rollouts.
    </p>
  `;
}

const SHARE = [0, 1];
const NONE = [];
const percent = (share) => `${Math.round(100 * share)} %`;
const shortened = (text, chars) => (text.length > chars ? `${text.slice(0, chars)}…` : text);

/** What is done with an error, unless it is the end of a question that nobody asks any more. */
const unlessStopped = (tell) => (error) => error.name !== "AbortError" && tell(error);
