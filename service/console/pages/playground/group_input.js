// Where a group comes from: written, pasted, dropped, one of the examples, or recorded of a run.
import { html, useEffect, useRef, useState } from "../../view.js";
import { useExamples } from "./examples.js";
import { RecordedGroups } from "./recorded_groups.js";
import { NO_GROUP, SEPARATORS, groupsOfFile, separatorFor, textsOf, withTexts } from "./reading.js";

/** `onEdit` gets a group that a person writes, `onGroup` one that is ready to be scored. */
export function GroupInput({ group, onEdit, onGroup, score }) {
  const [separator, setSeparator] = useState("line");
  const [written, setWritten] = useState("");
  const [file, setFile] = useState(null);
  const [fault, setFault] = useState(null);
  const [showsRecorded, setShowsRecorded] = useState(false);
  const ownEdit = useRef(group);
  const examples = useExamples();

  useEffect(() => {
    if (group === ownEdit.current) return; // what is being written stays as it is
    const texts = group.rollouts.map(({ text }) => text);
    if (textsOf(written, separator).join("\0") === texts.join("\0")) return;
    const fitting = separatorFor(texts);
    setSeparator(fitting);
    setWritten(texts.join(SEPARATORS[fitting].joint));
  }, [group]);

  const edit = (changed) => {
    ownEdit.current = changed;
    onEdit(changed);
  };
  const write = (text, by = separator) => {
    setWritten(text);
    setSeparator(by);
    edit(withTexts(group, textsOf(text, by)));
  };
  const read = async (dropped) => {
    try {
      const groups = groupsOfFile(await dropped.text());
      setFault(null);
      setFile({ name: dropped.name, groups, at: 0 });
      onGroup(groups[0]);
    } catch (error) {
      setFault(`${dropped.name}: ${error.message}`);
    }
  };
  const isOver = useDrop(read);
  const choose = (event) => {
    const index = event.currentTarget.value;
    event.currentTarget.value = "";
    if (index !== "") onGroup(examples[index]);
  };
  const turn = (step) => {
    const at = Math.min(Math.max(file.at + step, 0), file.groups.length - 1);
    setFile({ ...file, at });
    onGroup(file.groups[at]);
  };
  const submit = (event) => {
    event.preventDefault();
    score.wanted(group);
  };
  const count = group.rollouts.length;
  return html`
    <form
      class="card stack tight ${isOver ? "drop-target" : ""}"
      aria-labelledby="group-title"
      onSubmit=${submit}
    >
      <h2 id="group-title">Group</h2>
      <div class="sources">
        <label class="visually-hidden" for="example">Example</label>
        <select id="example" onChange=${choose}>
          <option value="">Example …</option>
          ${examples.map((one, index) => html`<option value=${index}>${one.shownPrompt}</option>`)}
        </select>
        <label class="button" for="file">JSONL file …</label>
        <input
          id="file"
          class="visually-hidden"
          type="file"
          accept=".jsonl,.json,.ndjson,application/jsonl"
          onChange=${(event) => event.currentTarget.files.length && read(event.currentTarget.files[0])}
        />
        <button type="button" aria-expanded=${showsRecorded} onClick=${() => setShowsRecorded(!showsRecorded)}>
          Recorded …
        </button>
      </div>
      ${showsRecorded && html`<${RecordedGroups} onGroup=${onGroup} />`}
      ${fault && html`<p class="bad" role="alert">${fault}</p>`}
      ${file &&
      file.groups.length > 1 &&
      html`<div class="row turn">
        <button type="button" disabled=${file.at === 0} onClick=${() => turn(-1)}>Previous</button>
        <span class="hint">Group ${file.at + 1} of ${file.groups.length} in ${file.name}</span>
        <button type="button" disabled=${file.at === file.groups.length - 1} onClick=${() => turn(1)}>Next</button>
      </div>`}
      <div class="field">
        <label for="prompt">Prompt</label>
        <textarea
          id="prompt"
          rows="3"
          placeholder="What the policy was asked"
          value=${group.shownPrompt}
          onInput=${({ currentTarget: { value } }) => edit({ ...group, prompt: value, shownPrompt: value })}
        ></textarea>
      </div>
      <div class="field">
        <div class="field-head">
          <label for="rollouts">Rollouts</label>
          <label class="visually-hidden" for="separator">Rollouts are written</label>
          <select id="separator" class="small" value=${separator} onChange=${(event) => write(written, event.currentTarget.value)}>
            ${Object.entries(SEPARATORS).map(([name, { label }]) => html`<option value=${name}>${label}</option>`)}
          </select>
        </div>
        <textarea
          id="rollouts"
          rows="10"
          placeholder="What it answered: paste the rollouts, or drop a JSONL file anywhere"
          value=${written}
          onInput=${(event) => write(event.currentTarget.value)}
        ></textarea>
      </div>
      <div class="row spread">
        <span class="hint">${count === 1 ? "1 rollout" : `${count} rollouts`}</span>
        <span class="row">
          ${count > 0 &&
          html`<button type="button" class="link" onClick=${() => (setFile(null), setWritten(""), edit(NO_GROUP))}>Clear</button>`}
          <button class="primary" type="submit" disabled=${!score.ready || score.busy}>
            ${score.busy ? "Scoring …" : "Score"}
          </button>
        </span>
      </div>
    </form>
  `;
}

/** Reads a file that is dropped anywhere on the page; whether one is held over it. */
function useDrop(read) {
  const [isOver, setIsOver] = useState(false);
  const latest = useRef(read);
  latest.current = read;
  useEffect(() => {
    const holdsFiles = (event) => event.dataTransfer.types.includes("Files"); // and no text that is moved
    const listeners = {
      dragover: (event) => {
        if (!holdsFiles(event)) return;
        event.preventDefault();
        setIsOver(true);
      },
      dragleave: (event) => event.relatedTarget === null && setIsOver(false),
      drop: (event) => {
        if (!holdsFiles(event)) return;
        event.preventDefault();
        setIsOver(false);
        if (event.dataTransfer.files.length) latest.current(event.dataTransfer.files[0]);
      },
    };
    for (const [name, listener] of Object.entries(listeners)) addEventListener(name, listener);
    return () => {
      for (const [name, listener] of Object.entries(listeners)) removeEventListener(name, listener);
    };
  }, []);
  return isOver;
}
