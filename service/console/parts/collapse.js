// Where a run has collapsed: most of its groups are one class each, and stay so.

export const COLLAPSED_SHARE = 0.5;
/** The share of a step's groups from which its diversity counts as collapsed. */
const LASTING_POINTS = 3;
const LASTING_GROUPS = 20;
/** Neighbouring points, and groups in them, that are collapsed at least: fewer may be so by chance. */

/** The spans `{from, to}` of steps in which the shares of collapsed groups stay high. */
export function collapses(steps, { collapsed_share: shares, groups }) {
  const spans = [];
  for (let start = 0, end; start < steps.length; start = end + 1) {
    let count = 0;
    for (end = start; end < steps.length && shares[end] >= COLLAPSED_SHARE; end++) count += groups[end];
    if (end - start >= LASTING_POINTS && count >= LASTING_GROUPS) spans.push({ from: steps[start], to: steps[end - 1] });
  }
  return spans;
}
