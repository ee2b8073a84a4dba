// A person judges pairs of recorded rollouts, with the keyboard: the training data of a better classifier.
import { call } from "../api.js";
import { CopyButton } from "../parts/copyable.js";
import { Difference } from "../parts/difference.js";
import { Empty } from "../parts/empty.js";
import { Failure } from "../parts/problem.js";
import { html, useEffect, useRef, useState } from "../view.js";

const BATCH = 50;
const LOW_WATER = 5;
/** Pairs left in the queue at which more are asked for. */
const MAX_BACK = 20;
const CHOICES = [
  { key: "s", same: true, title: "Same", said: "the same" },
  { key: "d", same: false, title: "Different", said: "different" },
  { key: "u", same: null, title: "Cannot tell", said: "unclear" },
];
const BACK = "z";
const TRAIN = "darling-reward train --pairs marks.jsonl --out my-classifier";
const MODEL_SHOWN = "darling-review-model";

export default function Review({ query }) {
  const [runs, setRuns] = useState(null);
  const [models, setModels] = useState(null);
  const [failure, setFailure] = useState(null);
  useEffect(() => {
    call("v1/history/runs").then(({ runs }) => setRuns(runs), setFailure);
    // The first is the default, whose own groups these mostly are.
    call("v1/models").then(({ models }) => setModels(models.slice(1)), setFailure);
  }, []);
  if (failure) return html`<${Head} /><${Failure} error=${failure} />`;
  if (runs === null || models === null) return html`<${Head} />`;
  if (runs.length === 0) {
    return html`<${Head} />
      <${Empty} title="There is nothing to review yet">
        <p>
          Pairs come from recorded groups, and groups are recorded as soon as a trainer scores them. Have the
          trainer name its run, as in${" "}<code>"run": {"name": "exp-7", "step": 120}</code>.
        </p>
      <//>`;
  }
  const run = query.get("run") ?? runs[0].run;
  const against = query.get("against") ?? models.find(({ id }) => id === "unigram")?.id ?? "";
  const go = (change) => {
    location.hash = `#/review?${new URLSearchParams({ run, against, ...change })}`;
  };
  return html`
    <${Head}>
      <div class="row">
        <span class="field">
          <label for="review-run">Run</label>
          <select id="review-run" value=${run} onChange=${(event) => go({ run: event.currentTarget.value })}>
            ${runs.map((one) => html`<option value=${one.run} selected=${one.run === run}>${one.run}</option>`)}
          </select>
        </span>
        <span class="field">
          <label for="review-against">Second opinion</label>
          <select id="review-against" value=${against} onChange=${(event) => go({ against: event.currentTarget.value })}>
            <option value="" selected=${against === ""}>none</option>
            ${models.map(({ id }) => html`<option value=${id} selected=${id === against}>${id}</option>`)}
          </select>
        </span>
      </div>
    <//>
    <${Pairs} key=${`${run} ${against}`} run=${run} against=${against} />
  `;
}

function Head({ children }) {
  return html`
    <div class="page-head">
      <div>
        <h1>Review</h1>
        <p class="lead">
          Judge pairs of rollouts by what their classifier was asked. Your marks are the labels that a classifier
          of your own is trained on; the pairs that teach most come first.
        </p>
      </div>
      ${children}
    </div>
  `;
}

/** The queue of pairs, what has been marked in it, and what is being loaded. */
function usePairs(run, against) {
  const [, redraw] = useState(0);
  const own = useRef({ queue: [], done: [], loading: null, ended: false, progress: null, failure: null, sent: Promise.resolve() });
  const state = own.current;
  const changed = () => redraw((count) => count + 1);

  const load = () => {
    if (state.loading || state.ended) return;
    const search = new URLSearchParams({ run, limit: BATCH });
    if (against) search.set("against", against);
    // What is marked must have arrived, or it would be offered again.
    state.loading = state.sent
      .then(() => call(`v1/review/pairs?${search}`))
      .then(({ pairs, progress }) => {
        const seen = new Set([...state.queue, ...state.done].map(({ id }) => id));
        const fresh = pairs.filter(({ id }) => !seen.has(id));
        state.ended = fresh.length === 0;
        state.queue = [...state.queue, ...fresh];
        state.progress = progress;
      })
      .catch((failure) => (state.failure = failure))
      .finally(() => {
        state.loading = null;
        changed();
      });
  };
  useEffect(() => {
    load();
    changed();
  }, []);

  const mark = (same) => {
    const [pair, ...rest] = state.queue;
    if (!pair) return;
    state.queue = rest;
    state.done = [...state.done, { ...pair, same }].slice(-MAX_BACK);
    state.sent = state.sent
      .then(() => call("v1/review/marks", { body: { pair: pair.id, same } }))
      .then(({ progress }) => (state.progress = progress))
      .catch((failure) => {
        state.failure = failure;
        state.done = state.done.filter(({ id }) => id !== pair.id);
        const others = state.queue.filter(({ id }) => id !== pair.id);
        // Nobody can mark a pair whose group has been dropped meanwhile.
        state.queue = failure.status === 404 ? others : [pair, ...others];
      })
      .finally(changed);
    if (rest.length <= LOW_WATER) load();
    changed();
  };
  const back = () => {
    const last = state.done.at(-1);
    if (!last) return;
    state.done = state.done.slice(0, -1);
    state.queue = [last, ...state.queue];
    changed();
  };
  const lookAgain = () => {
    state.failure = null;
    state.ended = false;
    load();
    changed();
  };
  return { ...state, mark, back, lookAgain };
}

function Pairs({ run, against }) {
  const pairs = usePairs(run, against);
  const [isShown, setShown] = useState(localStorage.getItem(MODEL_SHOWN) === "yes");
  const latest = useRef(pairs);
  latest.current = pairs;
  useEffect(() => {
    const press = (event) => {
      const isTyping = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName) && event.target.type !== "checkbox";
      if (isTyping || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
      const choice = CHOICES.find(({ key }) => key === event.key.toLowerCase());
      if (choice) latest.current.mark(choice.same);
      else if (event.key.toLowerCase() === BACK) latest.current.back();
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  }, []);
  const show = (event) => {
    setShown(event.currentTarget.checked);
    localStorage.setItem(MODEL_SHOWN, event.currentTarget.checked ? "yes" : "no");
  };
  const [pair] = pairs.queue;
  const last = pairs.done.at(-1);
  return html`
    <div class="stack">
      ${pairs.failure &&
      html`<${Failure}
        error=${pairs.failure}
        action=${html`<button type="button" onClick=${pairs.lookAgain}>Try again</button>`}
      />`}
      ${pair && html`<${Judged} pair=${pair} isShown=${isShown} />`}
      ${!pair && pairs.ended && html`<${NoPairs} run=${run} onAgain=${pairs.lookAgain} />`}
      ${!pair && pairs.loading && html`<${Empty} title="Looking for pairs …"><p>${against ? `${against} is asked about them, too.` : ""}</p><//>`}
      <div class="verdicts">
        ${CHOICES.map(
          ({ key, same, title }) => html`
            <button type="button" disabled=${!pair} aria-keyshortcuts=${key} onClick=${() => pairs.mark(same)}>
              ${title} <kbd>${key.toUpperCase()}</kbd>
            </button>
          `,
        )}
        <button type="button" disabled=${!last} aria-keyshortcuts=${BACK} onClick=${pairs.back}>
          Back <kbd>${BACK.toUpperCase()}</kbd>
        </button>
      </div>
      <div class="row after-verdicts">
        <label class="row">
          <input type="checkbox" checked=${isShown} onChange=${show} /> Show what the model says before I judge
        </label>
        <p class="hint" role="status">${last && said(last)}</p>
      </div>
      ${pairs.progress && html`<${Progress} progress=${pairs.progress} />`}
    </div>
  `;
}

/** What a person and the model have said of a pair. */
function said({ same, probability, threshold }) {
  const { said: yours } = CHOICES.find((choice) => choice.same === same);
  const models = probability > threshold ? "the same" : "different";
  return `You said ${yours}; the model says ${models}, at ${probability.toFixed(2)}.`;
}

/** What a person is asked of a pair, which is what its classifier was asked. */
const QUESTIONS = {
  answer: "Would a user who has seen one of the two gain nothing from the other? Then they are the same.",
  approach: "Do both use the same method, whatever they come to? Then they are the same.",
};

function Judged({ pair, isShown }) {
  const { other, probability, threshold } = pair;
  return html`
    <section class="card judged" aria-label="Pair to judge">
      <div class="card-head">
        <h2 class="text">${pair.prompt || "(no prompt)"}</h2>
        <span class="hint">step ${pair.step.toLocaleString("en")}</span>
      </div>
      <p class="question">${pair.criterion ?? QUESTIONS[pair.notion]}</p>
      <${Difference} a=${pair.a} b=${pair.b} labels=${["One", "The other"]} />
      ${isShown &&
      html`<p class="hint opinions">
        ${`${pair.model} says ${probability > threshold ? "the same" : "different"}: ${probability.toFixed(2)}, threshold ${threshold.toFixed(2)}.`}
        ${other && ` ${other.model} ${other.disagrees ? "disagrees" : "agrees"}: ${other.probability.toFixed(2)}, threshold ${other.threshold.toFixed(2)}.`}
      </p>`}
    </section>
  `;
}

function NoPairs({ run, onAgain }) {
  return html`
    <${Empty} title="No pair is left to judge">
      <p>
        All pairs of the newest recorded groups of ${run} are marked, or their texts are equal. More come as the
        run goes on. Groups whose probabilities are not kept, as those of more than 128 texts, have no pairs here.
      </p>
      <button type="button" onClick=${onAgain}>Look again</button>
    <//>
  `;
}

function Progress({ progress }) {
  const [failure, setFailure] = useState(null);
  const { same, different, unsure, prompts_needed: needed, notion, criterion } = progress;
  const asked = new URLSearchParams(criterion === null ? { notion } : { criterion });
  const save = async () => {
    try {
      const text = await call(`v1/review/marks?${asked}`);
      const link = document.createElement("a");
      link.href = URL.createObjectURL(new Blob([text], { type: "application/jsonl" }));
      link.download = "marks.jsonl";
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 1000);
    } catch (error) {
      setFailure(error);
    }
  };
  return html`
    <section class="card" aria-label="Your marks">
      <div class="card-head">
        <h2>Your marks</h2>
        <button type="button" disabled=${same + different === 0} onClick=${save}>Download marks.jsonl</button>
      </div>
      ${(criterion ?? notion) !== "answer" &&
      html`<p class="hint">Those of other questions are counted, and downloaded, by themselves.</p>`}
      <dl class="figures">
        <div><dt>Same</dt><dd>${same}</dd></div>
        <div><dt>Different</dt><dd>${different}</dd></div>
        <div><dt>Cannot tell</dt><dd>${unsure}</dd></div>
      </dl>
      <div class="goals">
        <${Goal} title="Prompts with a same pair" value=${progress.prompts_same} needed=${needed} />
        <${Goal} title="Prompts with a different pair" value=${progress.prompts_different} needed=${needed} />
      </div>
      <p class="hint">Training needs ${needed} of each. Then:</p>
      <div class="code train">
        <pre tabindex="0"><code>${TRAIN}</code></pre>
        <${CopyButton} text=${TRAIN}>Copy<//>
      </div>
      ${failure && html`<${Failure} error=${failure} />`}
    </section>
  `;
}

function Goal({ title, value, needed }) {
  return html`
    <label class="field">
      ${title}: ${value} of ${needed}
      <progress max=${needed} value=${Math.min(value, needed)}></progress>
    </label>
  `;
}
