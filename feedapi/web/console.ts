// The queue: j and k move, enter opens, n takes the next, u undoes.

import { ask, fault } from "./asking.js";
import { byId } from "./dom.js";
import { bare } from "./keys.js";
import { undo } from "./pending.js";

const links = [...document.querySelectorAll<HTMLElement>("[data-case]")];

async function next(): Promise<void> {
  try {
    const taken = await ask<{ id: number }>("POST", "/v1/claims", {});
    location.assign(`/console/cases/${taken.id}`);
  } catch (error) {
    fault(error);
  }
}

function focus(by: number): void {
  const here = links.findIndex((link) => link === document.activeElement);
  links[Math.min(Math.max(here + by, 0), links.length - 1)]?.focus();
}

byId("next").addEventListener("click", () => void next());
document.addEventListener("keydown", (event) => {
  if (!bare(event)) return;
  if (event.key === "j") focus(1);
  if (event.key === "k") focus(-1);
  if (event.key === "n") void next();
  if (event.key === "u") undo();
});
