// A partition: the rollouts of a group under the classes that they are in, with what each one earns.
import { html, useState } from "../view.js";
import { ClassChip, toneOf } from "./classes.js";
import { Meter } from "./meter.js";

/** Characters of a text that are shown before a person asks for more: about four lines. */
const LONG_CHARS = 420;

/** Indices of the rollouts, class by class. */
export function byClass(partition) {
  const classes = Array.from({ length: Math.max(-1, ...partition) + 1 }, () => []);
  partition.forEach((number, index) => classes[number].push(index));
  return classes;
}

/** The classes by size, as one bar. */
export function ClassBar({ partition }) {
  return html`
    <div class="class-bar" aria-hidden="true">
      ${byClass(partition).map(
        (members, number) => html`
          <span class=${toneOf(number)} style=${{ flexGrow: members.length }}>
            <${ClassChip} number=${number} />
          </span>
        `,
      )}
    </div>
  `;
}

/**
 * `rollouts` are `{text, quality}`; `columns` are lists by name: `diversity`, `quality`, `reward`
 * and `advantage`, of which those that are null are left out. `onQuality(index, number)` makes the
 * quality editable. `marked` are the indices of rollouts to point out.
 */
export function Partition({ rollouts, partition, columns, onQuality, marked = [] }) {
  const top = (column) => Math.max(1e-9, ...column.map(Math.abs));
  const shown = ["reward", "advantage"].filter((name) => columns[name]);
  const cells = 4 + shown.length;
  return html`
    <div class="table-frame">
      <table class="partition">
        <thead>
          <tr>
            <th scope="col" class="number">#</th>
            <th scope="col">Rollout</th>
            <th scope="col" class="number">Quality</th>
            <th scope="col" class="number">Diversity</th>
            ${shown.map((name) => html`<th scope="col" class="number">${titled(name)}</th>`)}
          </tr>
        </thead>
        ${byClass(partition).map(
          (members, number) => html`
            <tbody class=${toneOf(number)} key=${number}>
              <tr class="class-row">
                <th scope="rowgroup" colspan=${cells}>
                  <${ClassChip} number=${number} />
                  <span>${members.length === 1 ? "1 rollout" : `${members.length} rollouts`}</span>
                </th>
              </tr>
              ${members.map(
                (index) => html`
                  <tr key=${index} class=${marked.includes(index) ? "marked" : ""}>
                    <td class="number index">${index + 1}</td>
                    <td class="rollout"><${RolloutText} text=${rollouts[index].text} /></td>
                    <td class="number" data-label="Quality">
                      ${onQuality
                        ? html`<${QualityField} index=${index} value=${rollouts[index].quality} onQuality=${onQuality} />`
                        : columns.quality?.[index]?.toFixed(2) ?? "–"}
                    </td>
                    <td class="number" data-label="Diversity">
                      <${Meter} value=${columns.diversity?.[index]} share=${columns.diversity?.[index]} />
                    </td>
                    ${shown.map(
                      (name) => html`
                        <td class="number" data-label=${titled(name)}>
                          <${Meter}
                            value=${columns[name][index]}
                            share=${Math.abs(columns[name][index]) / top(columns[name])}
                            digits=${3}
                          />
                        </td>
                      `,
                    )}
                  </tr>
                `,
              )}
            </tbody>
          `,
        )}
      </table>
    </div>
  `;
}

const titled = (name) => name[0].toUpperCase() + name.slice(1);

/** A text of which the beginning is shown until a person wants all of it. */
function RolloutText({ text }) {
  const [whole, setWhole] = useState(false);
  if (text.length <= LONG_CHARS) return html`<span class="text">${text}</span>`;
  return html`
    <span class="text">${whole ? text : `${text.slice(0, LONG_CHARS)}…`}</span>
    <button class="link" type="button" aria-expanded=${whole} onClick=${() => setWhole(!whole)}>
      ${whole ? "Show less" : `Show all ${text.length.toLocaleString("en")} characters`}
    </button>
  `;
}

function QualityField({ index, value, onQuality }) {
  const change = (event) => {
    const number = event.currentTarget.valueAsNumber;
    if (Number.isFinite(number)) onQuality(index, number);
  };
  return html`<input
    class="quality"
    type="number"
    step="any"
    aria-label=${`Quality of rollout ${index + 1}`}
    value=${value}
    onInput=${change}
  />`;
}
