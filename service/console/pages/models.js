// The models page: what decides, how good it is, its limits, and what the service is doing now.
import { call } from "../api.js";
import { Empty } from "../parts/empty.js";
import { Failure } from "../parts/problem.js";
import { Markdown, blocksOf } from "../parts/markdown.js";
import { html, useEffect, useState } from "../view.js";
import { Behaviours, isBehaviours } from "./models/behaviours.js";
import { ServiceState } from "./models/service_state.js";

export default function Models() {
  const [listed, setListed] = useState(null);
  const [card, setCard] = useState(null);
  const [failure, setFailure] = useState(null);
  useEffect(() => {
    call("v1/models", { waits: true }).then(setListed, setFailure);
    call("v1/models/card").then(setCard, setFailure);
  }, []);
  const blocks = card?.card ? blocksOf(card.card) : [];
  const at = blocks.findIndex(isBehaviours);
  const hasBehaviours = at > 0;
  return html`
    <div class="page-head">
      <div>
        <h1>Models</h1>
        <p class="lead">
          What decides whether two rollouts are equivalent, how often it is right, and what the service is doing now.
        </p>
      </div>
    </div>
    ${failure && html`<${Failure} error=${failure} />`}
    <div class="stack">
      <${ServiceState} limits=${listed?.limits} />
      ${listed && html`<${ModelTable} models=${listed.models} />`}
      <div class=${hasBehaviours ? "columns" : "stack"}>
        ${hasBehaviours && html`<${Behaviours} lead=${blocks[at - 1].text} table=${blocks[at]} />`}
        <div class="stack">
        ${card?.reliability &&
        html`<section class="card" aria-labelledby="reliability-title">
          <h2 id="reliability-title">Reliability</h2>
          <p class="hint">Of pairs that got a probability of 0.7, about seven in ten should be equivalent.</p>
          <img class="plot" src=${card.reliability} alt="Reliability plot: predicted against observed probability" />
        </section>`}
        ${listed && html`<${Limits} limits=${listed.limits} />`}
        </div>
      </div>
      ${card &&
      (card.card
        ? html`<section class="card" aria-label="Model card">
            <${Markdown} blocks=${hasBehaviours ? blocks.toSpliced(at - 1, 2) : blocks} />
          </section>`
        : html`<${Empty} title="This model has no card">
            <p>
              A card is shown for <code>embedded</code>, and for a folder that holds a
              <code>MODEL_CARD.md</code> or <code>README.md</code> beside its weights, as
              <code>darling-reward train --out DIR</code> writes it.
            </p>
          <//>`)}
    </div>
  `;
}

function ModelTable({ models }) {
  return html`
    <section class="card" aria-labelledby="models-title">
      <h2 id="models-title">Classifiers that a request may name</h2>
      <div class="table-frame" tabindex="0" role="group" aria-labelledby="models-title">
        <table class="models">
          <thead>
            <tr>
              <th scope="col">Name</th>
              <th scope="col">What it is</th>
              <th scope="col" class="number">Threshold</th>
              <th scope="col">Linkage</th>
              <th scope="col">Revision</th>
            </tr>
          </thead>
          <tbody>
            ${models.map(
              (model, index) => html`<tr>
                <th scope="row">${model.id} ${index === 0 && html`<span class="tag">default</span>`}</th>
                <td>${model.description}</td>
                <td class="number">${model.threshold.toFixed(2)}</td>
                <td>${model.linkage}</td>
                <td><code>${model.revision}</code></td>
              </tr>`,
            )}
          </tbody>
        </table>
      </div>
    </section>
  `;
}

const MEANINGS = {
  max_groups: "groups in a request",
  max_rollouts: "rollouts in a group",
  max_pairs: "pairs in a request for equivalence",
  max_chars: "characters in a text",
  max_body_bytes: "bytes of a body",
  body_bytes: "bytes of all bodies together",
  max_queue_tokens: "tokens that wait for the model",
  cohort_bytes: "bytes of waiting and scored cohorts",
};

function Limits({ limits }) {
  return html`
    <section class="card" aria-labelledby="limits-title">
      <h2 id="limits-title">Limits</h2>
      <dl class="limits">
        ${Object.entries(limits).map(
          ([name, value]) => html`<div>
            <dt>${MEANINGS[name] ?? name}</dt>
            <dd>${value.toLocaleString("en")} <code>${name}</code></dd>
          </div>`,
        )}
      </dl>
    </section>
  `;
}
