// What the service is doing now, from its metrics: the queue, the callers that wait, the caches.
import { call } from "../../api.js";
import { Failure } from "../../parts/problem.js";
import { html, useEffect, useState } from "../../view.js";

/** Milliseconds between two looks at the metrics. */
const POLL_MS = 2000;

/** The values of an exposition in Prometheus's text format, by name with labels. */
function valuesOf(exposition) {
  const values = {};
  for (const line of exposition.split("\n")) {
    const space = line.lastIndexOf(" ");
    if (space > 0 && !line.startsWith("#")) values[line.slice(0, space)] = Number(line.slice(space + 1));
  }
  return values;
}

/** The sum of a metric over its labels. */
function totalOf(values, name) {
  const series = Object.entries(values).filter(([one]) => one.startsWith(`${name}{`));
  return series.reduce((sum, [, value]) => sum + value, 0);
}

/** Whether the service takes requests: its health check needs no key. Throws `Problem`. */
async function ready() {
  try {
    await call("health/ready");
    return true;
  } catch (problem) {
    if (problem.status === 503) return false;
    throw problem;
  }
}

/** `limits` come from /v1/models, and may still be on their way. */
export function ServiceState({ limits = {} }) {
  const [values, setValues] = useState(null);
  const [isReady, setIsReady] = useState(null);
  const [failure, setFailure] = useState(null);
  useEffect(() => {
    let timer;
    let stopped = false;
    const look = async () => {
      if (!document.hidden) {
        try {
          setIsReady(await ready());
          setValues(valuesOf(await call("metrics")));
          setFailure(null);
        } catch (error) {
          setFailure(error);
        }
      }
      if (!stopped) timer = setTimeout(look, POLL_MS);
    };
    look();
    return () => {
      stopped = true;
      clearTimeout(timer);
    };
  }, []);
  if (failure) return html`<${Failure} error=${failure} />`;
  const of = (name) => values && (values[name] ?? 0);
  const refused = values && totalOf(values, "darling_refused_total");
  const pairs = ["classified", "cached", "skipped"].map((outcome) => [
    outcome,
    of(`darling_pairs_total{outcome="${outcome}"}`),
  ]);
  const ends = ["complete", "partial", "failed"].map((end) => [end, of(`darling_cohorts_total{end="${end}"}`)]);
  return html`
    <section class="card" aria-labelledby="state-title">
      <div class="card-head">
        <h2 id="state-title">
          Now ${isReady !== null && html`<span class="tag ${isReady ? "" : "warn"}">${isReady ? "ready" : "loading the model"}</span>`}
        </h2>
        <p class="hint">Read from /metrics every two seconds.</p>
      </div>
      <dl class="tiles">
        <${Tile} name="Requests in flight" value=${values && of("darling_requests_in_flight") - 1} />
        <${Tile}
          name="Tokens in the queue"
          value=${of("darling_queue_tokens")}
          limit=${limits.max_queue_tokens}
        />
        <${Tile} name="Rollouts that wait for their cohort" value=${of("darling_waiting_rollouts")} />
        <${Tile}
          name="Memory of cohorts"
          value=${of("darling_cohort_bytes")}
          limit=${limits.cohort_bytes}
          shown=${megabytes}
        />
        <${Tile} name="Memory of cached results" value=${of("darling_cache_bytes")} shown=${megabytes} />
        <${Tile} name="Groups scored" value=${of("darling_groups_total")} />
        <${Tile} name="Pairs" parts=${pairs} />
        <${Tile} name="Cohorts that ended" parts=${ends} />
        <${Tile} name="Requests refused" value=${refused} />
        <${Tile} name="Batches that failed" value=${of("darling_model_failures_total")} />
      </dl>
    </section>
  `;
}

const whole = (value) => value.toLocaleString("en", { maximumFractionDigits: 0 });
const megabytes = (value) => `${(value / 2 ** 20).toFixed(1)} MiB`;

function Tile({ name, value, limit, parts, shown = whole }) {
  const total = parts ? parts.reduce((sum, [, part]) => sum + part, 0) : value;
  const isKnown = parts ? parts[0][1] !== null : value !== null;
  if (!isKnown) {
    return html`<div>
      <dt>${name}</dt>
      <dd>–</dd>
    </div>`;
  }
  return html`
    <div>
      <dt>${name}</dt>
      <dd>
        ${shown(total)} ${limit !== undefined && html`<span class="hint">of ${shown(limit)}</span>`}
        ${parts && html`<span class="hint">${parts.map(([part, count]) => `${whole(count)} ${part}`).join(", ")}</span>`}
      </dd>
    </div>
  `;
}
