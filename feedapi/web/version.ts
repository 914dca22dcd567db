// Follows a review as it goes on; takes a version back, or appeals against a decision.

import { ask, fault } from "./asking.js";
import { byId, first } from "./dom.js";

interface Progress {
  done?: number;
  total?: number;
  unit?: string;
  ahead: number | null;
  left: number | null;
}

const data = first(".version").dataset;

function step(state: string): void {
  const steps = [...document.querySelectorAll<HTMLElement>(".road li")];
  const here = steps.findIndex((one) => one.dataset.state === state);
  if (here < 0) return location.reload(); // decided: the server says why
  steps.forEach((one, index) => {
    one.dataset.how = index < here ? "done" : index === here ? "now" : "next";
    if (index === here) one.setAttribute("aria-current", "step");
    else one.removeAttribute("aria-current");
  });
  const badge = first(".state");
  badge.dataset.state = state;
  badge.textContent = state;
  byId("progress").hidden = true;
  byId("rate").textContent = "";
}

function progress({ done, total, unit, ahead, left }: Progress): void {
  byId("ahead").textContent = queued(ahead);
  byId("left").textContent = left === null ? "" : `About ${lasting(left)} left, going by other reviews here.`;
  if (done === undefined || !total) return;
  const bar = byId<HTMLProgressElement>("progress");
  bar.hidden = false;
  bar.value = done / total;
  byId("rate").textContent = `${done.toLocaleString("en")} of ${total.toLocaleString("en")} ${unit ?? ""}`;
}

function queued(ahead: number | null): string {
  if (ahead === null) return "It is being worked on.";
  if (ahead === 0) return "It is next in the queue.";
  return `${ahead} other ${ahead === 1 ? "world comes" : "worlds come"} first.`;
}

function lasting(seconds: number): string {
  if (seconds < 90) return `${Math.max(5, Math.round(seconds))} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 90 ? `${minutes} min` : `${Math.round(minutes / 60)} h`;
}

if (data.working === "true") {
  const events = new EventSource(`/v1/versions/${data.version}/events`);
  events.addEventListener("state", (event) => {
    if (Number(event.lastEventId) > Number(data.revision)) step((JSON.parse(event.data) as { state: string }).state);
  });
  events.addEventListener("progress", (event) => progress(JSON.parse(event.data) as Progress));
}

async function change(path: string, body: unknown, headers?: Record<string, string>): Promise<void> {
  try {
    await ask("POST", `/v1/versions/${data.version}/${path}`, body, headers);
    location.reload();
  } catch (error) {
    fault(error);
  }
}

document.getElementById("withdraw")?.addEventListener("click", () => {
  if (confirm("Withdraw this world, for good?")) void change("withdraw", {}, { "If-Match": `"${data.revision}"` });
});

const appeal = document.querySelector<HTMLFormElement>("#appeal");
appeal?.addEventListener("submit", (event) => {
  event.preventDefault();
  void change("appeal", { text: new FormData(appeal).get("text") });
});
