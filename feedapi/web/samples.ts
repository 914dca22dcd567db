// Sends sample worlds in, and leads to where their reviews are followed.

import { ask, fault } from "./asking.js";
import { within } from "./dom.js";

document.addEventListener("click", async (event) => {
  const button = within<HTMLButtonElement>(event, "[data-send]");
  if (button === null) return;
  button.disabled = true;
  const name = button.dataset.send;
  try {
    await ask("POST", "/v1/samples", { names: name ? [name] : [] });
    location.assign("/studio");
  } catch (error) {
    fault(error);
    button.disabled = false;
  }
});
