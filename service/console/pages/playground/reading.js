// Groups from what a person pastes or drops: lines, blocks, or JSON lines.

export const SEPARATORS = {
  line: { label: "one per line", split: /\n/, joint: "\n" },
  blank: { label: "with blank lines between", split: /\n[^\S\n]*\n/, joint: "\n\n" },
  rule: { label: "with lines of --- between", split: /^---[^\S\n]*$/m, joint: "\n---\n" },
};

/** Groups of a file that are kept: more than anybody looks through. */
const MAX_GROUPS = 5000;

/** The texts that a person has written, without those that are blank. */
export function textsOf(written, separator) {
  return written
    .split(SEPARATORS[separator].split)
    .map((text) => (separator === "line" ? text.trim() : text.replace(/^\n+|\s+$/g, "")))
    .filter((text) => text !== "");
}

/** The first separator by which these texts, once joined, are read back as they are. */
export function separatorFor(texts) {
  const reads = (name) => {
    const back = textsOf(texts.join(SEPARATORS[name].joint), name);
    return back.length === texts.length && back.every((text, index) => text === texts[index]);
  };
  return Object.keys(SEPARATORS).find(reads) ?? "rule";
}

/** Chat messages as one text, and a text as it is. */
export function shownText(content) {
  if (typeof content === "string") return content;
  if (!Array.isArray(content)) return JSON.stringify(content ?? "");
  return content
    .map((turn) => {
      const { role, content: words, tool_calls: calls } = turn ?? {};
      const said = typeof words === "string" ? words : JSON.stringify(words ?? calls ?? "");
      return content.length === 1 ? said : `${role}: ${said}`;
    })
    .join("\n");
}

/**
 * A group of the API as the page holds it: `{prompt, shownPrompt, rollouts}`, where each rollout has
 * its `text` as shown, its `quality`, and `sent`, which is what the service gets of it.
 * Throws an `Error` that says what is missing.
 */
export function groupFrom(record) {
  if (typeof record !== "object" || record === null) throw new Error("a group is an object");
  if (record.prompt === undefined) throw new Error("prompt is missing");
  if (!Array.isArray(record.rollouts) || record.rollouts.length === 0) {
    throw new Error("rollouts is missing; give a list of texts, or of objects with text");
  }
  const { quality } = record;
  if (quality != null && quality.length !== record.rollouts.length) {
    throw new Error(`quality must be a list with a number for each of the ${record.rollouts.length} rollouts`);
  }
  const rollouts = record.rollouts.map((rollout, index) => {
    const isObject = typeof rollout === "object" && rollout !== null && !Array.isArray(rollout);
    const content = isObject ? (rollout.text ?? rollout.messages) : rollout;
    if (content === undefined) throw new Error(`rollouts.${index} has neither text nor messages`);
    // Beside a reference, the service makes the quality of the answers.
    const otherwise = record.reference === undefined ? 1 : null;
    const own = quality?.[index] ?? (isObject ? rollout.quality : null) ?? otherwise;
    const sent = isObject ? known(rollout) : Array.isArray(content) ? { messages: content } : { text: content };
    return { text: shownText(content), quality: own, sent };
  });
  const { prompt, reference } = record;
  return { prompt, shownPrompt: shownText(prompt), reference, rollouts };
}

/** The fields of a rollout that a request may have; files hold results and notes beside them. */
function known(rollout) {
  const names = ["text", "messages", "answer", "correct", "logprob", "solutions"];
  return Object.fromEntries(names.filter((name) => rollout[name] != null).map((name) => [name, rollout[name]]));
}

/**
 * The groups of a file: JSON lines, or one JSON document with a group, a list of groups, or the body
 * of a request. Throws an `Error` that names the line or the group.
 */
export function groupsOfFile(text) {
  let document;
  try {
    document = JSON.parse(text);
  } catch {
    return groupsOfLines(text);
  }
  const records = document?.groups ?? document;
  if (!Array.isArray(records)) return [groupFrom(records)];
  return records.slice(0, MAX_GROUPS).map((record, index) => {
    try {
      return groupFrom(record);
    } catch (error) {
      throw new Error(`group ${index + 1}: ${error.message}`);
    }
  });
}

/** The groups of a file of JSON lines. Throws an `Error` that names the line. */
export function groupsOfLines(text) {
  const groups = [];
  for (const [index, line] of text.split("\n").entries()) {
    if (line.trim() === "") continue;
    try {
      groups.push(groupFrom(JSON.parse(line)));
    } catch (error) {
      throw new Error(`line ${index + 1}: ${error.message}`);
    }
    if (groups.length === MAX_GROUPS) break;
  }
  if (groups.length === 0) throw new Error("the file has no groups; give one JSON object a line, with prompt and rollouts");
  return groups;
}

/** The group after its texts were edited: a rollout that is still there keeps what is known of it. */
export function withTexts(group, texts) {
  const left = [...group.rollouts];
  const rollouts = texts.map((text, index) => {
    const at = left.findIndex((rollout) => rollout?.text === text);
    if (at >= 0) return left.splice(at, 1, null)[0];
    return { text, quality: group.rollouts[index]?.quality ?? 1, sent: { text } };
  });
  return { ...group, rollouts };
}

export const NO_GROUP = { prompt: "", shownPrompt: "", rollouts: [] };
