// Sends sample worlds in, and leads to where their reviews are followed.

import { ask, fault } from "./asking.js";

document.addEventListener("click", async (event) => {
  const button = event.target instanceof Element ? event.target.closest<HTMLButtonElement>("[data-send]") : null;
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
