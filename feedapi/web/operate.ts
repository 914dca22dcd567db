// The operator's board: fetched anew every few seconds, and dead jobs are tried again on a click.

import { ask, fault } from "./asking.js";
import { byId, within } from "./dom.js";

const EVERY = 5000; // ms
const wanted = byId<HTMLInputElement>("refresh");

/** Whether somebody reads or uses what would be replaced. */
function busy(board: HTMLElement): boolean {
  const selection = getSelection();
  const reading = selection !== null && !selection.isCollapsed && board.contains(selection.anchorNode);
  return document.hidden || reading || board.contains(document.activeElement);
}

async function refresh(force = false): Promise<void> {
  const board = byId("board");
  if (!force && (!wanted.checked || busy(board))) return;
  try {
    const answer = await fetch(location.href);
    if (!answer.ok) throw new Error(`The server answers ${answer.status}`);
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    const open = new Set([...board.querySelectorAll("details[open]")].map((one) => one.id));
    const shut = new Set([...board.querySelectorAll("details:not([open])")].map((one) => one.id));
    for (const one of fresh.querySelectorAll<HTMLDetailsElement>("#board details")) {
      one.open = open.has(one.id) || (one.open && !shut.has(one.id));
    }
    const [next, clock] = [fresh.getElementById("board"), fresh.getElementById("as-of")];
    if (next === null || clock === null) return location.reload(); // signed out meanwhile
    board.replaceChildren(...next.childNodes);
    byId("as-of").textContent = clock.textContent;
    if (!force) fault(null);
  } catch (error) {
    fault(error);
  }
}

document.addEventListener("click", async (event) => {
  const button = within(event, "[data-requeue]");
  const jobs = button?.dataset.requeue?.split(" ") ?? [];
  if (jobs.length === 0) return;
  try {
    for (const job of jobs) await ask("POST", `/v1/jobs/${job}/requeue`, {});
    fault(null);
  } catch (error) {
    fault(error);
  }
  await refresh(true);
});

setInterval(() => void refresh(), EVERY);
