// The queue: j and k move, enter opens, n takes the next, u undoes.

import { ask, fault } from "./asking.js";
import { bare } from "./keys.js";
import { undo } from "./pending.js";

const links = [...document.querySelectorAll("[data-case]")];

async function next() {
  try {
    const taken = await ask("POST", "/v1/claims", {});
    location.assign(`/console/cases/${taken.id}`);
  } catch (error) {
    fault(error);
  }
}

document.getElementById("next").addEventListener("click", next);
document.addEventListener("keydown", (event) => {
  if (!bare(event)) return;
  const here = links.indexOf(document.activeElement);
  if (event.key === "j") links[Math.min(here + 1, links.length - 1)]?.focus();
  if (event.key === "k") links[Math.max(here - 1, 0)]?.focus();
  if (event.key === "n") next();
  if (event.key === "u") undo();
});
