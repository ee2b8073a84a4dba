// The figures of runs over their steps: a chart for each figure, with a line for each run.
import { html, useMemo, useState } from "../view.js";
import { collapses } from "./collapse.js";
import { Curve } from "./curve.js";
import { SmoothingChoice, smoothed } from "./smoothing.js";

/** Colours of runs, by custom property: those of the classes that stand out on both themes. */
export const RUN_COLOURS = [0, 5, 2, 3, 4, 7].map((number) => `--class-${number}`);

const SHARE = [0, 1];
/** Each series has its name in the history, that in a legend, and the title of a chart of it alone. */
const FIGURES = [
  {
    title: "Diversity",
    hint: "Mean over groups: 0 where all rollouts say the same, 1 where no two do.",
    series: [["diversity", "diversity"]],
    bounds: SHARE,
  },
  {
    title: "Collapsed groups",
    hint: "Share of groups whose rollouts are all one class.",
    series: [["collapsed_share", "collapsed"]],
    bounds: SHARE,
  },
  {
    title: "Classes",
    hint: "Classes of a group, and how many of even size would be as varied.",
    series: [
      ["classes", "classes", "Classes"],
      ["effective_classes", "effective", "Effective classes"],
    ],
  },
  {
    title: "Largest class",
    hint: "Share of a group's rollouts that say what most of them say.",
    series: [["dominant_share", "share"]],
    bounds: SHARE,
  },
  {
    title: "Quality and reward",
    hint: "Means over rollouts: before diversity is rewarded, and after.",
    series: [
      ["quality", "quality", "Quality"],
      ["reward", "reward", "Reward"],
    ],
  },
  {
    title: "Quality of distinct and of repeated rollouts",
    hint: "If repeating pays, the run is on its way to one answer.",
    series: [
      ["quality_distinct", "distinct", "Quality of distinct rollouts"],
      ["quality_duplicated", "repeated", "Quality of repeated rollouts"],
    ],
  },
  {
    title: "Entropy of classes",
    hint: "In nats: 0 for one class, ln n for n of even size.",
    series: [["entropy", "entropy"]],
  },
  {
    title: "Partial groups",
    hint: "Groups of a step that were scored before all of their rollouts had come.",
    series: [["partial_groups", "partial"]],
  },
];

/** `runs` are `{run, colour, steps, series}`. A click on a chart picks a step. */
export function Curves({ runs, step, onStep }) {
  const spans = useMemo(
    () =>
      runs.flatMap(({ steps, series, colour }) =>
        collapses(steps, series).map((span) => ({ ...span, colour })),
      ),
    [runs],
  );
  const [count, setCount] = useState(1);
  const charts = useMemo(() => chartsOf(runs, count).filter(isKnown), [runs, count]);
  return html`
    <${SmoothingChoice} count=${count} onCount=${setCount} />
    <div class="curves">
      ${charts.map(
        (chart) => html`<${Curve} key=${chart.title} ...${chart} spans=${spans} step=${step} onStep=${onStep} />`,
      )}
    </div>
  `;
}

/** The charts of one run; those of several, where a figure of two series becomes two charts. `count`
 * points are put together in each. */
function chartsOf(runs, count) {
  if (runs.length === 1) return FIGURES.map((figure) => ({ ...figure, lines: linesOf(figure.series, runs, count) }));
  return FIGURES.flatMap((figure) =>
    figure.series.map((one) => ({
      ...figure,
      title: one[2] ?? figure.title,
      lines: linesOf([one], runs, count),
    })),
  );
}

function linesOf(names, runs, count) {
  return runs.flatMap(({ run, colour, steps, series }) =>
    names.map(([name, said], dash) => ({
      label: runs.length === 1 ? said : run,
      steps,
      values: smoothed(series[name], series.groups, count),
      colour,
      dash,
    })),
  );
}

/** Whether a chart shows anything. Partial groups are worth one only where there are some. */
function isKnown({ title, lines }) {
  const known = title === "Partial groups" ? (value) => value > 0 : (value) => value !== null;
  return lines.some(({ values }) => values.some(known));
}

/** What the charts say of a run's collapse, in words. */
export function CollapseNote({ runs }) {
  const notes = runs.flatMap(({ run, colour, steps, series }) =>
    collapses(steps, series).map(({ from, to }) => ({ run, colour, from, to, last: steps.at(-1) })),
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
