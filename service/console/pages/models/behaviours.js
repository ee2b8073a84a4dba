// How often the classifier is right, by kind of text: the table of its card, with bars.
import { html } from "../../view.js";

/** Whether a block of the card is the table of behaviours. */
export function isBehaviours(block) {
  return block.kind === "table" && block.head.includes("wrong merges");
}

/** A share as cards write it, "0.81" or "1.9%", from 0 to 1. */
function shareOf(cell) {
  return cell.endsWith("%") ? parseFloat(cell) / 100 : parseFloat(cell);
}

/** `lead` is what the card says before the table. */
export function Behaviours({ lead, table }) {
  const shares = table.head.map((name) => /accuracy|wrong/.test(name));
  return html`
    <section class="card" aria-labelledby="behaviours-title">
      <h2 id="behaviours-title">Behaviours</h2>
      <p class="hint">${lead.replace(/:$/, ".")} A wrong merge takes two ideas for one, a wrong split one idea for two.</p>
      <div class="table-frame" tabindex="0" role="group" aria-labelledby="behaviours-title">
        <table class="behaviours">
          <thead>
            <tr>
              ${table.head.map((name, index) => html`<th scope="col" class=${index ? "number" : ""}>${name}</th>`)}
            </tr>
          </thead>
          <tbody>
            ${table.rows.map(
              (row) => html`<tr class=${row[0] === "all" ? "total" : ""}>
                ${row.map((cell, index) => {
                  if (index === 0) return html`<th scope="row">${cell}</th>`;
                  if (!shares[index]) return html`<td class="number">${cell}</td>`;
                  return html`<td class="number">
                    <span class="meter ${/wrong/.test(table.head[index]) ? "warn" : ""}">
                      <span class="meter-fill" style=${{ width: `${100 * shareOf(cell)}%` }}></span>
                      <span class="meter-value">${cell.replace("%", " %")}</span>
                    </span>
                  </td>`;
                })}
              </tr>`,
            )}
          </tbody>
        </table>
      </div>
    </section>
  `;
}
