// The groups that come with the page, one click each.
import { Empty } from "../../parts/empty.js";
import { html, useEffect, useState } from "../../view.js";
import { groupsOfLines } from "./reading.js";

/** The built-in groups, once they have come. */
export function useExamples() {
  const [examples, setExamples] = useState([]);
  useEffect(() => {
    fetch(new URL("../../examples.jsonl", import.meta.url))
      .then((response) => response.text())
      .then((text) => setExamples(groupsOfLines(text)));
  }, []);
  return examples;
}

/** Stands where the result will be, and says what to do. */
export function ExampleCards({ onGroup, busy, waits }) {
  const examples = useExamples();
  const title = busy ? "Scoring …" : waits ? "The service is loading its model …" : "Score a group to see its classes";
  return html`
    <${Empty} title=${title}>
      <p>Paste a prompt and its rollouts, drop a file of JSON lines, or begin with one of these:</p>
      <div class="examples">
        ${examples.map(
          (group) => html`
            <button type="button" class="example" disabled=${busy} onClick=${() => onGroup(group)}>
              <span class="example-prompt">${group.shownPrompt}</span>
              <span class="hint">${group.rollouts.length} rollouts</span>
            </button>
          `,
        )}
      </div>
    <//>
  `;
}
