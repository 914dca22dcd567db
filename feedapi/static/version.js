// Follows a review as it goes on; takes a version back, or appeals against a decision.

import { ask, fault } from "./asking.js";

const page = document.querySelector(".version");
const data = page.dataset;

function step(state) {
  const steps = [...document.querySelectorAll(".road li")];
  const here = steps.findIndex((one) => one.dataset.state === state);
  if (here < 0) return location.reload(); // decided: the server says why
  steps.forEach((one, index) => {
    one.dataset.how = index < here ? "done" : index === here ? "now" : "next";
    one.toggleAttribute("aria-current", index === here);
  });
  document.querySelector(".state").dataset.state = state;
  document.querySelector(".state").textContent = state;
}

function progress({ done, total, unit }) {
  const bar = document.getElementById("progress");
  if (!total) return bar.removeAttribute("value");
  bar.value = done / total;
  document.getElementById("rate").textContent = `${done.toLocaleString()} of ${total.toLocaleString()} ${unit ?? ""}`;
}

if (data.working === "true") {
  const events = new EventSource(`/v1/versions/${data.version}/events`);
  events.addEventListener("state", (event) => {
    if (Number(event.lastEventId) > Number(data.revision)) step(JSON.parse(event.data).state);
  });
  events.addEventListener("progress", (event) => progress(JSON.parse(event.data)));
}

document.getElementById("withdraw")?.addEventListener("click", async () => {
  if (!confirm("Withdraw this world, for good?")) return;
  try {
    await ask("POST", `/v1/versions/${data.version}/withdraw`, {}, { "If-Match": `"${data.revision}"` });
    location.reload();
  } catch (error) {
    fault(error);
  }
});

document.getElementById("appeal")?.addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    await ask("POST", `/v1/versions/${data.version}/appeal`, { text: event.target.elements.text.value });
    location.reload();
  } catch (error) {
    fault(error);
  }
});
