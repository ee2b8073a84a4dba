// Where a run has collapsed: most of its groups are one class each, and stay so.

export const COLLAPSED_SHARE = 0.5;
/** The share of a step's groups from which its diversity counts as collapsed. */
const LASTING_POINTS = 3;
/** Neighbouring points that must all be collapsed: a single small step may be so by chance. */

/** The spans `{from, to}` of steps in which the shares of collapsed groups are high. */
export function collapses(steps, shares) {
  const spans = [];
  for (let start = 0, end; start < steps.length; start = end + 1) {
    for (end = start; end < steps.length && shares[end] >= COLLAPSED_SHARE; ) end++;
    if (end - start >= LASTING_POINTS) spans.push({ from: steps[start], to: steps[end - 1] });
  }
  return spans;
}
