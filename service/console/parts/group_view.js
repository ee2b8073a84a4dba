// One recorded group: its rollouts by class and, on request, the probabilities of its pairs.
import { html, useMemo, useState } from "../view.js";
import { Difference } from "./difference.js";
import { HeatMap } from "./heat_map.js";
import { ClassBar, Partition, byClass } from "./partition.js";

const COLUMNS = ["diversity", "quality", "reward", "advantage"];

/** By what a group was classified, where that is not whether its rollouts say the same. */
function questionOf({ notion, criterion }) {
  if (criterion != null) return `, judged by: ${criterion}`;
  return notion === "approach" ? ", by the same approach" : "";
}

/** `group` is as `/v1/history/groups` answers it. `link` is where else it can be opened, if at all. */
export function GroupView({ group, link }) {
  const { rollouts, probabilities, threshold } = group;
  const partition = rollouts.map((rollout) => rollout.class);
  const classes = Math.max(...partition) + 1;
  const columns = Object.fromEntries(
    COLUMNS.map((name) => [name, rollouts[0][name] === null ? null : rollouts.map((rollout) => rollout[name])]),
  );
  const [isOpen, setOpen] = useState(false);
  return html`
    <article class="card group-view">
      <div class="card-head">
        <h3 class="text">${group.prompt || "(no prompt)"}</h3>
        ${link && html`<a href=${link}>Open in the playground</a>`}
      </div>
      <p class="hint">
        ${`${group.run}, step ${group.step.toLocaleString("en")}: ${rollouts.length} rollouts in ${classes} ${classes === 1 ? "class" : "classes"}`}
        ${threshold === null ? ", the file's own partition" : `, by ${group.model} above ${threshold.toFixed(2)}${questionOf(group)}`}
      </p>
      <${ClassBar} partition=${partition} />
      <${Partition} rollouts=${rollouts} partition=${partition} columns=${columns} />
      ${probabilities &&
      rollouts.length > 1 &&
      html`
        <details onToggle=${(event) => setOpen(event.currentTarget.open)}>
          <summary>Probabilities of its pairs</summary>
          ${isOpen && html`<${Pairs} group=${group} partition=${partition} />`}
        </details>
      `}
    </article>
  `;
}

function Pairs({ group, partition }) {
  const { rollouts, probabilities, threshold } = group;
  const order = useMemo(() => byClass(partition).flat(), [group]);
  const [pair, setPair] = useState([0, 1]);
  const [a, b] = pair;
  return html`
    <div class="pairs-view">
      <div>
        <${HeatMap}
          probabilities=${probabilities}
          order=${order}
          partition=${partition}
          threshold=${threshold ?? 1}
          selected=${pair}
          onSelect=${(first, second) => setPair([first, second])}
        />
      </div>
      <${Difference}
        a=${rollouts[a].text}
        b=${rollouts[b].text}
        labels=${[`Rollout ${a + 1}`, `Rollout ${b + 1}`]}
      />
    </div>
  `;
}
