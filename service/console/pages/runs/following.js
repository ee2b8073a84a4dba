// The classes of one prompt over several steps: its groups are compared with each other.
import { call } from "../../api.js";
import { byClass } from "../../parts/partition.js";

const MAX_GROUPS = 20;
/** Groups of a prompt that are compared, spread over its steps. */
const MAX_OF_GROUP = 4;
/** Classes of each group that are compared, the largest: at most 80 texts, which are soon classified. */

/**
 * The classes of a prompt, `{steps, classes: [{text, shares}]}`, those with the largest shares first.
 *
 * Each group has its classes already. The first text of each large one is compared with those of the
 * other groups, by the model and the question of the latest group; `shares` are of the rollouts of
 * each step. Throws `Problem`, or an `AbortError` after `signal`.
 */
export async function classesOver({ run, prompt_id: prompt }, signal) {
  const search = new URLSearchParams({ run, prompt, limit: MAX_GROUPS });
  const { groups } = await call(`v1/history/groups?${search}`, { signal });
  const members = groups.flatMap(({ step, rollouts }) => {
    const partition = rollouts.map((rollout) => rollout.class);
    return byClass(partition)
      .sort((a, b) => b.length - a.length)
      .slice(0, MAX_OF_GROUP)
      .map((indices) => ({ step, size: indices.length, text: rollouts[indices[0]].text }));
  });
  const texts = [...new Set(members.map(({ text }) => text))];
  const answer = await call("v1/partitions", { body: bodyOf(groups.at(-1), texts), signal });
  const numbers = new Map(texts.map((text, index) => [text, answer.groups[0].partition[index]]));
  const rollouts = new Map();
  for (const group of groups) rollouts.set(group.step, (rollouts.get(group.step) ?? 0) + group.rollouts.length);
  const steps = [...rollouts.keys()];
  const classes = Array.from({ length: answer.groups[0].num_classes }, () => ({
    largest: null,
    shares: steps.map(() => 0),
  }));
  for (const member of members) {
    const one = classes[numbers.get(member.text)];
    one.shares[steps.indexOf(member.step)] += member.size / rollouts.get(member.step);
    if (one.largest === null || member.size > one.largest.size) one.largest = member;
  }
  const weight = ({ shares }) => shares.reduce((sum, share) => sum + share, 0);
  classes.sort((a, b) => weight(b) - weight(a));
  return { steps, classes: classes.map(({ largest, shares }) => ({ text: largest.text, shares })) };
}

/** The body for POST /v1/partitions: the texts, by what a recorded group was classified by. */
function bodyOf({ prompt, model, threshold, linkage, notion, criterion }, texts) {
  const asked = { threshold, linkage, notion, criterion };
  return {
    groups: [{ prompt, rollouts: texts }],
    model,
    partition: Object.fromEntries(Object.entries(asked).filter(([, value]) => value !== null)),
    record: false,
  };
}

/** Which class dominates in the end, and since when: `{number, since, share, before}`, where `before`
 * is the one that dominated until then, or null. */
export function dominating({ steps, classes }) {
  const leaders = steps.map((_, at) => {
    const shares = classes.map((one) => one.shares[at]);
    return shares.indexOf(Math.max(...shares));
  });
  const number = leaders.at(-1);
  const other = leaders.findLastIndex((leader) => leader !== number);
  return {
    number,
    since: steps[other + 1],
    share: classes[number].shares.at(-1),
    before: other < 0 ? null : leaders[other],
  };
}
