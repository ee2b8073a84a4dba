// The figures of runs over their steps: a chart for each figure, with a line for each run.
import { html, useMemo } from "../view.js";
import { collapses } from "./collapse.js";
import { Curve } from "./curve.js";

/** Colours of runs, by custom property: those of the classes that stand out on both themes. */
export const RUN_COLOURS = [0, 5, 2, 3, 4, 7].map((number) => `--class-${number}`);

const SHARE = [0, 1];
const FIGURES = [
  {
    title: "Diversity",
    hint: "Mean over groups: 0 where all rollouts say the same, 1 where no two do.",
    names: { diversity: "diversity" },
    bounds: SHARE,
  },
  {
    title: "Collapsed groups",
    hint: "Share of groups whose rollouts are all one class.",
    names: { collapsed_share: "collapsed" },
    bounds: SHARE,
  },
  {
    title: "Classes",
    hint: "Classes of a group, and how many of even size would be as varied.",
    names: { classes: "classes", effective_classes: "effective" },
  },
  {
    title: "Largest class",
    hint: "Share of a group's rollouts that say what most of them say.",
    names: { dominant_share: "share" },
    bounds: SHARE,
  },
  {
    title: "Quality and reward",
    hint: "Means over rollouts: before diversity is rewarded, and after.",
    names: { quality: "quality", reward: "reward" },
  },
  {
    title: "Quality of distinct and of repeated rollouts",
    hint: "If repeating pays, the run is on its way to one answer.",
    names: { quality_distinct: "distinct", quality_duplicated: "repeated" },
  },
  {
    title: "Entropy of classes",
    hint: "In nats: 0 for one class, ln n for n of even size.",
    names: { entropy: "entropy" },
  },
  {
    title: "Partial groups",
    hint: "Groups of a step that were scored before all of their rollouts had come.",
    names: { partial_groups: "partial" },
  },
];

/** `runs` are `{run, colour, steps, series}`. A click on a chart picks a step. */
export function Curves({ runs, step, onStep }) {
  const spans = useMemo(
    () =>
      runs.flatMap(({ steps, series, colour }) =>
        collapses(steps, series.collapsed_share).map((span) => ({ ...span, colour })),
      ),
    [runs],
  );
  const charts = useMemo(() => FIGURES.map((figure) => ({ figure, lines: linesOf(figure, runs) })), [runs]);
  return html`
    <div class="curves">
      ${charts
        .filter(({ figure, lines }) => isKnown(figure, lines))
        .map(
          ({ figure, lines }) => html`
            <${Curve}
              key=${figure.title}
              title=${figure.title}
              hint=${figure.hint}
              lines=${lines}
              bounds=${figure.bounds}
              spans=${spans}
              step=${step}
              onStep=${onStep}
            />
          `,
        )}
    </div>
  `;
}

function linesOf({ names }, runs) {
  return runs.flatMap(({ run, colour, steps, series }) =>
    Object.entries(names).map(([name, said], dash) => ({
      label: runs.length === 1 ? said : dash ? `${run}, ${said}` : run,
      steps,
      values: series[name],
      colour,
      dash,
    })),
  );
}

/** Whether a chart shows anything. Partial groups are worth one only where there are some. */
function isKnown({ names }, lines) {
  const known = "partial_groups" in names ? (value) => value > 0 : (value) => value !== null;
  return lines.some(({ values }) => values.some(known));
}

/** What the charts say of a run's collapse, in words. */
export function CollapseNote({ runs }) {
  const notes = runs.flatMap(({ run, colour, steps, series }) =>
    collapses(steps, series.collapsed_share).map(({ from, to }) => ({ run, colour, from, to, last: steps.at(-1) })),
  );
  if (notes.length === 0) return null;
  return html`
    <div class="problem collapse-note" role="status">
      <p class="problem-title">Diversity has collapsed</p>
      <ul>
        ${notes.map(
          ({ run, from, to, last }) => html`<li>
            <strong>${run}</strong>: half of its groups or more say one thing
            ${to === last ? ` since step ${from.toLocaleString("en")}.` : ` from step ${from.toLocaleString("en")} to ${to.toLocaleString("en")}.`}
          </li>`,
        )}
      </ul>
    </div>
  `;
}
