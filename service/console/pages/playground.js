// The playground: one group, its partition and its rewards, re-shaped while a person looks.
import { call } from "../api.js";
import { ClassChip } from "../parts/classes.js";
import { ClassBar, Partition, byClass } from "../parts/partition.js";
import { CodeTabs, CopyButton } from "../parts/copyable.js";
import { Difference } from "../parts/difference.js";
import { Failure } from "../parts/problem.js";
import { HeatMap } from "../parts/heat_map.js";
import { html, useEffect, useMemo, useRef, useState } from "../view.js";
import { ExampleCards } from "./playground/examples.js";
import { GroupInput } from "./playground/group_input.js";
import { packed, unpacked } from "./playground/link.js";
import { NO_GROUP, groupFrom } from "./playground/reading.js";
import { DEFAULTS, bodyOf, codeOf, optionsFrom, optionsOfRecorded, recordOf } from "./playground/request.js";
import { Shaping } from "./playground/shaping.js";

/** Milliseconds that a slider must rest before the service is asked again. */
const RESHAPE_MS = 120;

export default function Playground({ query }) {
  const [group, setGroup] = useState(NO_GROUP);
  const [options, setOptions] = useState(DEFAULTS);
  const [models, setModels] = useState(null);
  const [choices, setChoices] = useState(null);
  const [failure, setFailure] = useState(null);
  const score = useScore(group, options, models !== null);
  const results = useRef(null);

  useEffect(() => {
    call("v1/models", { waits: true }).then(({ models }) => setModels(models), setFailure);
    call("openapi.json").then((document) => setChoices(choicesOf(document)), setFailure);
  }, []);
  const link = query.get("s");
  const recorded = query.get("group");
  useEffect(() => {
    const open = async () => {
      if (link) {
        const state = await unpacked(link);
        show(groupFrom(state?.group), optionsFrom(state?.options));
      } else if (recorded) {
        const kept = await call(`v1/history/groups/${encodeURIComponent(recorded)}`);
        show(groupFrom(kept), optionsOfRecorded(kept));
      }
    };
    open().catch(setFailure);
  }, [link, recorded]);

  useEffect(() => {
    // Where the page is one column, the result is far below the button.
    if (score.answered && matchMedia("(max-width: 960px)").matches) results.current.scrollIntoView();
  }, [score.answered]);

  const show = (shown, by = options) => {
    setFailure(null);
    setOptions(by);
    setGroup(shown);
    score.wanted(shown);
  };
  const setQuality = (index, quality) =>
    setGroup((before) => ({
      ...before,
      rollouts: before.rollouts.map((rollout, at) => (at === index ? { ...rollout, quality } : rollout)),
    }));
  return html`
    <div class="page-head">
      <div>
        <h1>Playground</h1>
        <p class="lead">
          Which rollouts say the same, and what each of them earns for it. Score a group, then move the
          threshold, or choose another linkage or objective, and watch the rewards follow.
        </p>
      </div>
    </div>
    <div class="playground">
      <div class="stack">
        <${GroupInput} group=${group} onEdit=${setGroup} onGroup=${show} score=${score} />
        <${Shaping}
          options=${options}
          onChange=${setOptions}
          models=${models}
          choices=${choices}
          used=${score.result?.answer.model}
        />
      </div>
      <div class="stack results" ref=${results}>
        ${(failure ?? score.failure) && html`<${Failure} error=${failure ?? score.failure} />`}
        ${score.result
          ? html`<${Result} score=${score} group=${group} onQuality=${setQuality} />`
          : html`<${ExampleCards} onGroup=${show} busy=${score.busy} waits=${score.waits && !failure} />`}
      </div>
    </div>
  `;
}

/** The names that the service lists for each choice of a reward. */
function choicesOf(document) {
  const { properties } = document.components.schemas.RewardOptions;
  const names = (property) => property.enum ?? property.anyOf.find((one) => one.enum).enum;
  return { objective: names(properties.objective), advantage: names(properties.advantage) };
}

const textsIn = (group) => JSON.stringify([group.prompt, group.rollouts.map(({ sent }) => sent)]);

/**
 * Asks the service for the rewards of a group: when `wanted(group)` is called, and from then on
 * whenever an option or a quality changes. After other changes of the group its result is `stale`.
 * What is wanted before the service `answers` is asked for as soon as it does.
 */
function useScore(group, options, answers) {
  const [state, setState] = useState({ result: null, failure: null, busy: false, texts: null, answered: 0 });
  const [wish, setWish] = useState({ texts: null, count: 0 });
  const texts = useMemo(() => textsIn(group), [group]);
  const ready = group.rollouts.length > 0;

  useEffect(() => {
    if (!ready || !answers || texts !== wish.texts) {
      setState((before) => (before.busy ? { ...before, busy: false } : before));
      return undefined;
    }
    const stop = new AbortController();
    const ask = async () => {
      setState((before) => ({ ...before, busy: true }));
      try {
        const answer = await call("v1/rewards", { body: bodyOf(group, options), signal: stop.signal });
        const result = { answer, group, options };
        setState({ result, failure: null, busy: false, texts, answered: wish.count });
      } catch (failure) {
        if (failure.name !== "AbortError") setState((before) => ({ ...before, failure, busy: false }));
      }
    };
    const timer = setTimeout(ask, wish.count > state.answered ? 0 : RESHAPE_MS);
    return () => {
      clearTimeout(timer);
      stop.abort();
    };
  }, [group, options, wish, answers]);

  const wanted = (shown) => setWish(({ count }) => ({ texts: textsIn(shown), count: count + 1 }));
  const waits = !answers && wish.count > 0;
  return { ...state, waits, isStale: state.texts !== null && state.texts !== texts, wanted, ready };
}

function Result({ score, group, onQuality }) {
  const { answer, group: scored, options } = score.result;
  const [rewarded] = answer.groups;
  const { partition, probabilities } = rewarded;
  const order = useMemo(() => byClass(partition).flat(), [partition]);
  const [selected, setSelected] = useState(null);
  const count = partition.length;
  const fits = selected !== null && selected.every((index) => index < count);
  const pair = fits ? selected : nearest(probabilities, answer.model.threshold);
  const columns = {
    diversity: rewarded.diversity,
    quality: rewarded.quality,
    reward: rewarded.rewards,
    advantage: rewarded.advantages,
  };
  const rollouts = score.isStale ? scored.rollouts : group.rollouts;
  return html`
    <section class="card ${score.busy ? "busy" : ""}" aria-labelledby="partition-title" aria-busy=${score.busy}>
      <div class="card-head">
        <h2 id="partition-title">
          ${plural(rewarded.num_classes, "class", "classes")} of ${plural(count, "rollout", "rollouts")}
        </h2>
        <p class="hint" role="status">${spent(answer.usage)}</p>
      </div>
      ${score.isStale &&
      html`<p class="notice">The group has changed since it was scored. Press Score to see its rewards.</p>`}
      <${ClassBar} partition=${partition} />
      <dl class="figures">
        ${figuresOf(rewarded).map(
          ([name, value]) => html`<div>
            <dt>${name}</dt>
            <dd>${value}</dd>
          </div>`,
        )}
      </dl>
      <${Partition}
        rollouts=${rollouts}
        partition=${partition}
        columns=${columns}
        onQuality=${score.isStale ? null : onQuality}
        marked=${count > 1 ? pair : []}
      />
    </section>
    ${count > 1 &&
    html`<section class="card" aria-labelledby="pairs-title">
      <div class="card-head">
        <h2 id="pairs-title">Every pair</h2>
        <p class="hint">Rollouts in the order of their classes; a dot marks what is above the threshold.</p>
      </div>
      <div class="pairs">
        <div>
          <${HeatMap}
            probabilities=${probabilities}
            order=${order}
            partition=${partition}
            threshold=${answer.model.threshold}
            selected=${pair}
            onSelect=${(a, b) => setSelected([a, b])}
          />
        </div>
        <div class="stack tight">
          <${Verdict} pair=${pair} partition=${partition} probabilities=${probabilities} model=${answer.model} />
          <${Difference}
          a=${scored.rollouts[pair[0]].text}
          b=${scored.rollouts[pair[1]].text}
          labels=${pair.map((index) => `Rollout ${index + 1}`)}
        />
        </div>
      </div>
    </section>`}
    <section class="card" aria-labelledby="take-title">
      <div class="card-head">
        <h2 id="take-title">Take it with you</h2>
        <${ShareLink} group=${scored} options=${options} />
      </div>
      <${CodeTabs} label="The request for" tabs=${codeOf(scored, options, sessionStorage.getItem("darling-key") !== null)} />
    </section>
  `;
}

/** What the classifier says of a pair, and what the linkage has made of it. */
function Verdict({ pair, partition, probabilities, model }) {
  const [a, b] = pair;
  const probability = probabilities[a][b];
  const isAbove = probability > model.threshold;
  const isTogether = partition[a] === partition[b];
  const surprise = isAbove !== isTogether && ` by ${model.linkage} linkage over all pairs`;
  return html`
    <div class="verdict">
      <span class="big">${probability.toFixed(2)}</span>
      <p>
        ${isAbove ? "Equivalent" : "Not equivalent"} at the threshold of ${model.threshold.toFixed(2)};
        ${isTogether ? " one class, " : " two classes, "}
        <${ClassChip} number=${partition[a]} />${!isTogether && html` and <${ClassChip} number=${partition[b]} />`}${surprise}.
      </p>
    </div>
  `;
}

/** Copies a link to the page as it is, and shows it in the address bar. */
function ShareLink({ group, options }) {
  const [state, setState] = useState(null);
  useEffect(() => {
    let current = true;
    packed({ group: recordOf(group), options }).then((text) => current && setState({ text }));
    return () => (current = false);
  }, [group, options]);
  if (state !== null && state.text === null) {
    return html`<p class="hint">This group is too long for a link; send the request instead.</p>`;
  }
  const copy = () => {
    const url = new URL(location.href);
    url.hash = `#/playground?s=${state.text}`;
    history.replaceState(null, "", url);
    return url.href;
  };
  return html`<div><${CopyButton} text=${copy} disabled=${state === null}>Copy link<//></div>`;
}

const plural = (count, one, many) => `${count} ${count === 1 ? one : many}`;

function spent(usage) {
  const parts = [
    `${plural(usage.classified, "pair", "pairs")} classified anew`,
    usage.cached && `${usage.cached} from the cache`,
    usage.skipped && `${usage.skipped} without the model`,
  ];
  return `${parts.filter(Boolean).join(", ")} · ${Math.max(1, Math.round(1000 * usage.seconds))} ms`;
}

function figuresOf({ partition, diversity, rewards }) {
  const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const sizes = byClass(partition).map((members) => members.length / partition.length);
  const entropy = -sizes.reduce((sum, share) => sum + share * Math.log(share), 0);
  return [
    ["Mean diversity", mean(diversity).toFixed(2)],
    ["Effective classes", Math.exp(entropy).toFixed(1)],
    ["Largest class", `${Math.round(100 * Math.max(...sizes))} %`],
    ["Mean reward", mean(rewards).toFixed(3)],
  ];
}

/** The pair of rollouts whose probability is nearest the threshold: the one to look at first. */
function nearest(probabilities, threshold) {
  let best = [0, 0];
  let distance = Infinity;
  for (let a = 0; a < probabilities.length; a++) {
    for (let b = a + 1; b < probabilities.length; b++) {
      const away = Math.abs(probabilities[a][b] - threshold);
      if (away < distance) [distance, best] = [away, [a, b]];
    }
  }
  return best;
}
