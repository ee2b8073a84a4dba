// The request that the page sends, and the same request for a shell, for Python and for a trainer.
import { Problem, serviceUrl } from "../../api.js";

export const DEFAULTS = {
  model: null,
  notion: null,
  criterion: null,
  threshold: null,
  linkage: null,
  objective: "darling",
  exponent: 1,
  floor: 0,
  advantage: "centered",
  more: "",
};

/** The options of a link: those that there are, each of its kind. */
export function optionsFrom(record) {
  const isOfKind = (name, value) =>
    DEFAULTS[name] === null
      ? ["string", "number"].includes(typeof value)
      : typeof value === typeof DEFAULTS[name];
  const known = Object.keys(DEFAULTS).filter((name) => isOfKind(name, record?.[name]));
  return { ...DEFAULTS, ...Object.fromEntries(known.map((name) => [name, record[name]])) };
}

/** The options by which a recorded group was classified, so that it gets the same classes. */
export function optionsOfRecorded({ model, threshold, linkage, notion, criterion }) {
  return optionsFrom({ model, threshold, linkage, notion, criterion });
}

/** Objectives that read the exponent and the floor; the service refuses them beside the others. */
export const SHAPED = ["darling", "additive", "diversity"];

/** The options of the body: those that differ from the service's defaults. */
function optionsOf(options) {
  const reward = { objective: options.objective };
  if (SHAPED.includes(options.objective)) {
    if (options.exponent !== DEFAULTS.exponent) reward.exponent = options.exponent;
    if (options.floor !== DEFAULTS.floor) reward.floor = options.floor;
  }
  if (options.advantage !== "none") reward.advantage = options.advantage;
  Object.assign(reward, moreOf(options.more));
  const partition = {};
  for (const name of ["threshold", "linkage", "notion", "criterion"]) {
    if (options[name] !== null) partition[name] = options[name];
  }
  return {
    ...(options.model ? { model: options.model } : {}),
    reward,
    ...(Object.keys(partition).length ? { partition } : {}),
  };
}

/** The further reward options, written as JSON. Throws a `Problem` for anything but an object. */
export function moreOf(written) {
  if (written.trim() === "") return {};
  let more;
  try {
    more = JSON.parse(written);
  } catch {
    more = null;
  }
  if (typeof more !== "object" || more === null || Array.isArray(more)) {
    throw new Problem(0, "These options cannot be sent", 'give a JSON object, such as {"k": 4}');
  }
  return more;
}

/** The group as the API takes it. */
export function recordOf(group) {
  return {
    prompt: group.prompt,
    ...(group.reference === undefined ? {} : { reference: group.reference }),
    rollouts: group.rollouts.map(({ sent, quality }) =>
      quality === null ? sent : { ...sent, quality },
    ),
  };
}

/** The body for POST /v1/rewards: a group that is only tried out, and belongs to no run. */
export function bodyOf(group, options) {
  return { groups: [recordOf(group)], ...optionsOf(options), return_probabilities: true, record: false };
}

/** `[title, code]` of the same request elsewhere. `hasKey`: whether the service asks for one. */
export function codeOf(group, options, hasKey) {
  const chosen = optionsOf(options);
  return [
    ["curl", curl({ groups: [recordOf(group)], ...chosen }, hasKey)],
    ["Python", python(group, chosen, hasKey)],
    ["TRL", trl(group, chosen)],
    ["verl", verl(group, chosen)],
  ];
}

function curl(body, hasKey) {
  const json = JSON.stringify(body, null, 2).replaceAll("'", "'\\''");
  const key = hasKey ? ` \\\n  -H "authorization: Bearer $DARLING_API_KEY"` : "";
  return `curl -s ${serviceUrl}/v1/rewards -H 'content-type: application/json'${key} -d '${json}'`;
}

function python(group, chosen, hasKey) {
  const record = recordOf(group);
  const simple =
    !group.reference &&
    record.rollouts.every((rollout) => Object.keys(rollout).join() === "text,quality");
  const rollouts = simple
    ? `    ${indented(literal(record.rollouts.map(({ text }) => text)))},
    quality=${literal(record.rollouts.map(({ quality }) => quality), 0)},`
    : `    [
${record.rollouts.map((rollout) => `        Rollout(${keywords(rollout)}),`).join("\n")}
    ],`;
  const imports = simple ? "Client, Group" : "Client, Group, Rollout";
  const token = hasKey ? `, token=os.environ["DARLING_API_KEY"]` : "";
  return `${hasKey ? "import os\n\n" : ""}from darling_client import ${imports}

client = Client(${literal(serviceUrl)}${token})
group = Group(
    ${indented(literal(record.prompt))},
${rollouts}${group.reference === undefined ? "" : `\n    reference=${literal(group.reference)},`}
)
(result,) = client.rewards([group], ${keywords(chosen)})
print(result.partition, result.rewards, result.advantages)
`;
}

function trl(group, chosen) {
  const size = group.rollouts.length;
  const { reward, ...others } = chosen;
  const { advantage, ...shaping } = reward;
  return `import os

from trl import GRPOConfig, GRPOTrainer

from darling_client.trainers.trl import DarlingReward

os.environ["DARLING_URL"] = ${literal(serviceUrl)}
# The advantage is the trainer's: the reward minus the group's mean, without the std.
trainer = GRPOTrainer(
    model=model,
    train_dataset=dataset,
    reward_funcs=DarlingReward(quality, num_generations=${size}, ${keywords({ reward: shaping, ...others })}),
    args=GRPOConfig(num_generations=${size}, scale_rewards="none", loss_type="dapo"),
)
`;
}

function verl(group, chosen) {
  const { reward, partition = {}, model } = chosen;
  const { advantage, ...shaping } = reward;
  const flags = [
    ...Object.entries(shaping).map(([name, value]) => [`reward.${name}`, value]),
    ...Object.entries(partition).map(([name, value]) => [`partition.${name}`, value]),
    ...(model ? [["model", model]] : []),
  ];
  return `reward.custom_reward_function.path=my_quality.py
reward.reward_manager.source=importlib
reward.reward_manager.name=DarlingRewardManager
reward.reward_manager.module.path=pkg://darling_client.trainers.verl
+reward.darling.url=${serviceUrl}
${flags.map(([name, value]) => `+reward.darling.${name}=${flagValue(value)}\n`).join("")}actor_rollout_ref.rollout.n=${group.rollouts.length}
algorithm.adv_estimator=grpo algorithm.norm_adv_by_std_in_grpo=False
`;
}

/** A value as a shell hands it to verl; words, numbers and names need no quotes. */
function flagValue(value) {
  return /^[\w.+-]+$/.test(value) ? value : `'${JSON.stringify(value).replaceAll("'", "'\\''")}'`;
}

const keywords = (values) =>
  Object.entries(values)
    .map(([name, value]) => `${name}=${literal(value, 0)}`)
    .join(", ");

const indented = (code) => code.replaceAll("\n", "\n    ");

/** A JSON value as Python writes it. `indent` 0 keeps it on one line. */
function literal(value, indent = 4) {
  if (value === null) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (typeof value !== "object") return JSON.stringify(value);
  const [open, close] = Array.isArray(value) ? "[]" : "{}";
  const items = Array.isArray(value)
    ? value.map((item) => literal(item, indent))
    : Object.entries(value).map(([name, item]) => `${JSON.stringify(name)}: ${literal(item, indent)}`);
  if (!indent || items.length === 0) return `${open}${items.join(", ")}${close}`;
  const lines = items.map((item) => `    ${item.replaceAll("\n", "\n    ")},`);
  return `${open}\n${lines.join("\n")}\n${close}`;
}
