// The runs that the service has recorded: live curves, several runs compared, the groups behind a step.
import { call } from "../api.js";
import { CollapseNote, Curves, RUN_COLOURS } from "../parts/curves.js";
import { Empty } from "../parts/empty.js";
import { GroupView } from "../parts/group_view.js";
import { Failure } from "../parts/problem.js";
import { StepPicker, nearest } from "../parts/step_picker.js";
import { html, useEffect, useMemo, useRef, useState } from "../view.js";
import { Dominance } from "./runs/dominance.js";

const POLL_MS = 2000;
/** Milliseconds between two looks for new steps. */
const MAX_POINTS = 2000;
/** Points of a curve beyond which it is asked for anew, and the service puts neighbours together. */
const MAX_GROUPS = 20;

export default function Runs({ query }) {
  const [listed, setListed] = useState(null);
  const [listFailure, setListFailure] = useState(null);
  const [curveFailure, setCurveFailure] = useState(null);
  // The run that was the newest at first: of two that train at once, each is the newest in turn.
  const first = useRef(null);
  first.current ??= listed?.[0]?.run ?? null;
  const named = [...new Set(query.getAll("run"))];
  const names = named.length ? named.slice(0, RUN_COLOURS.length) : [first.current].filter((run) => run !== null);
  const curves = useCurves(names, setCurveFailure);
  const step = query.has("step") ? Number(query.get("step")) : null;

  usePolling(async (signal) => setListed((await call("v1/history/runs", { signal })).runs), [], setListFailure);

  const go = (runs, at) => {
    const search = new URLSearchParams(runs.map((run) => ["run", run]));
    if (at !== null) search.set("step", at);
    location.hash = `#/runs?${search}`;
  };
  const toggle = (run) =>
    go(names.includes(run) ? names.filter((one) => one !== run) : [...names, run].slice(-RUN_COLOURS.length), null);
  const failure = listFailure ?? curveFailure;
  const problem = failure && html`<${Failure} error=${failure} />`;
  if (listed === null) return html`<${Head} />${problem}`;
  if (listed.length === 0) return html`<${Head} />${problem ?? html`<${NoRuns} />`}`;
  const shown = names
    .map((run, index) => ({ run, colour: RUN_COLOURS[index % RUN_COLOURS.length], ...curves[run] }))
    .filter(({ steps }) => steps?.length);
  return html`
    <${Head} />
    <div class="stack">
      ${problem}
      <${RunTable} listed=${listed} names=${names} onToggle=${toggle} />
      <${CollapseNote} runs=${shown} />
      ${shown.length > 0 &&
      html`
        <${Curves} runs=${shown} step=${step} onStep=${(at) => go(names, at)} />
        <${Dominance} runs=${shown} step=${step} onStep=${(at) => go(names, at)} />
        <${GroupsBehind} runs=${shown} step=${step} onStep=${(at) => go(names, at)} />
      `}
    </div>
  `;
}

function Head() {
  return html`
    <div class="page-head">
      <div>
        <h1>Runs</h1>
        <p class="lead">
          How varied the rollouts of a training run are, step by step, while it runs. Drag over a chart to
          zoom in, double-click to zoom out, and click on a step to read its groups.
        </p>
      </div>
    </div>
  `;
}

function NoRuns() {
  return html`
    <${Empty} title="No run is recorded yet">
      <p>
        Groups are recorded as soon as a trainer scores them. Have the trainer name its run, as in${" "}
        <code>"run": {"name": "exp-7", "step": 120}</code>, and its curves appear here by themselves.
      </p>
    <//>
  `;
}

/** Calls `look` now and every two seconds, unless the page is hidden. `onFailure` gets the error of
 * one that fails, and null after the next that does not. */
function usePolling(look, keys, onFailure) {
  useEffect(() => {
    const stop = new AbortController();
    let timer;
    const go = async () => {
      try {
        if (!document.hidden) {
          await look(stop.signal);
          if (!stop.signal.aborted) onFailure(null);
        }
      } catch (error) {
        if (!stop.signal.aborted) onFailure(error);
      }
      if (!stop.signal.aborted) timer = setTimeout(go, POLL_MS);
    };
    go();
    return () => {
      stop.abort();
      clearTimeout(timer);
    };
  }, keys);
}

/** The curves of the named runs, by name, kept up to date: `{steps, series}`. */
function useCurves(names, onFailure) {
  const [curves, setCurves] = useState({});
  const known = useRef({});
  usePolling(
    async (signal) => {
      const answers = await Promise.allSettled(names.map((run) => followed(run, known.current[run], signal)));
      // What has failed keeps its curve, if it has one.
      const loaded = answers.map(({ value }, index) => value ?? known.current[names[index]]);
      const changed = names.some((run, index) => loaded[index] !== known.current[run]);
      names.forEach((run, index) => (known.current[run] = loaded[index]));
      if (changed) setCurves({ ...known.current });
      const failed = answers.find(({ status }) => status === "rejected");
      if (failed) throw failed.reason;
    },
    [JSON.stringify(names)],
    onFailure,
  );
  return curves;
}

/** The curve with what has come since: the last step, which may still grow, and those after it. */
async function followed(run, before, signal) {
  const fresh = !before || before.steps.length > MAX_POINTS;
  const search = new URLSearchParams({ run });
  if (!fresh && before.steps.length > 1) search.set("after", before.steps.at(-2));
  const { steps, series } = await call(`v1/history/steps?${search}`, { signal });
  if (fresh || before.steps.length < 2) return { steps, series };
  const kept = before.steps.length - 1;
  const same = steps.length === 1 && Object.keys(series).every((name) => series[name][0] === before.series[name][kept]);
  if (same) return before;
  return {
    steps: [...before.steps.slice(0, kept), ...steps],
    series: Object.fromEntries(
      Object.entries(series).map(([name, values]) => [name, [...before.series[name].slice(0, kept), ...values]]),
    ),
  };
}

function RunTable({ listed, names, onToggle }) {
  return html`
    <section class="card">
      <div class="table-frame runs-frame" tabindex="0" role="group" aria-label="Recorded runs">
        <table class="runs">
          <thead>
            <tr>
              <th scope="col"><span class="visually-hidden">Shown</span></th>
              <th scope="col">Run</th>
              <th scope="col" class="number wide">Steps</th>
              <th scope="col" class="number wide">Groups</th>
              <th scope="col" class="number">Diversity</th>
              <th scope="col" class="number">Collapsed</th>
              <th scope="col" class="wide">Last group</th>
            </tr>
          </thead>
          <tbody>
            ${listed.map((one) => {
              const place = names.indexOf(one.run);
              return html`
                <tr key=${one.run}>
                  <td>
                    <input
                      type="checkbox"
                      aria-label=${`Show ${one.run}`}
                      checked=${place >= 0}
                      onChange=${() => onToggle(one.run)}
                    />
                  </td>
                  <th scope="row">
                    ${place >= 0 && html`<span class=${`swatch colour-${place}`} aria-hidden="true"></span>`}${one.run}
                  </th>
                  <td class="number wide">${one.steps.toLocaleString("en")}</td>
                  <td class="number wide">${one.groups.toLocaleString("en")}</td>
                  <td class="number">${one.diversity.toFixed(2)}</td>
                  <td class="number ${one.collapsed_share >= 0.5 ? "bad" : ""}">${Math.round(100 * one.collapsed_share)} %</td>
                  <td class="wide">${ago(one.last_at)}</td>
                </tr>
              `;
            })}
          </tbody>
        </table>
      </div>
    </section>
  `;
}

/** How long ago a time in seconds since the epoch was. */
function ago(at) {
  const seconds = Math.max(0, Date.now() / 1000 - at);
  const [unit, size] = [
    ["s", 1],
    ["min", 60],
    ["h", 3600],
    ["d", 86_400],
  ].findLast(([, length]) => seconds >= length) ?? ["s", 1];
  return `${Math.floor(seconds / size)} ${unit} ago`;
}

/** The recorded groups of a step, for each run that is shown. */
function GroupsBehind({ runs, step, onStep }) {
  const [groups, setGroups] = useState(null);
  const [failure, setFailure] = useState(null);
  const steps = useMemo(() => [...new Set(runs.flatMap((run) => run.steps))].sort((a, b) => a - b), [runs]);
  const names = JSON.stringify(runs.map(({ run }) => run));
  useEffect(() => {
    if (step === null) return setGroups(null);
    const stop = new AbortController();
    const load = runs.map(({ run, steps: own }) => {
      const search = new URLSearchParams({ run, step: own[nearest(own, step)], limit: MAX_GROUPS });
      return call(`v1/history/groups?${search}`, { signal: stop.signal });
    });
    setFailure(null);
    Promise.all(load).then(
      (answers) => setGroups(answers.flatMap((answer) => answer.groups)),
      (error) => error.name !== "AbortError" && setFailure(error),
    );
    return () => stop.abort();
  }, [names, step]);
  return html`
    <section class="stack" aria-label="Groups of a step">
      <div class="card-head">
        <h2>${step === null ? "The groups behind a step" : `Groups of step ${step.toLocaleString("en")}`}</h2>
        <${StepPicker} steps=${steps} step=${step} onStep=${onStep} />
      </div>
      ${failure && html`<${Failure} error=${failure} />`}
      ${step === null && html`<p class="hint">Click on a chart, or enter a step, to read what its rollouts say.</p>`}
      ${groups?.length === 0 &&
      html`<p class="hint">
        No group of this step was kept. The setting <code>history_groups</code> says how many are.
      </p>`}
      ${groups?.map(
        (group) => html`<${GroupView} key=${group.id} group=${group} link=${`#/playground?group=${group.id}`} />`,
      )}
    </section>
  `;
}
