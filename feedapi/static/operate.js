// Dead jobs are tried again on a click.

import { ask, fault } from "./asking.js";

document.addEventListener("click", async (event) => {
  const job = event.target.closest("[data-requeue]")?.dataset.requeue;
  if (!job) return;
  try {
    await ask("POST", `/v1/jobs/${job}/requeue`, {});
    location.reload();
  } catch (error) {
    fault(error);
  }
});
