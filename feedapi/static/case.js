// A case: clips blurred, grey and silent until somebody holds to see; decided by keys; ten seconds to undo.

import { ask, fault } from "./asking.js";
import { bare } from "./keys.js";
import { later, undo } from "./pending.js";

const HEARTBEAT = 60_000;
const FRAME = 1 / 15; // seconds
const BREAK_AFTER = 40; // clips seen in full
const page = document.querySelector(".case");
const { case: id, following } = page.dataset;
const form = document.getElementById("decide");
let shown = 0; // which clip the keys are for

const clips = () => [...document.querySelectorAll(".clip")];
const video = () => clips()[shown]?.querySelector("video");

// Deciding

function decide(outcome) {
  const rules = [...form.querySelectorAll("[name=rule]:checked")].map((one) => one.value);
  if (outcome === "clear" && rules.length) return fault(new Error("A world that is cleared breaks no rule."));
  if (outcome !== "clear" && !rules.length) return fault(new Error("Mark the rules that it breaks first."));
  const body = { outcome, rules, reason: form.elements.reason.value, token: Number(page.dataset.token) };
  later({ id, path: `/v1/cases/${id}/decide`, body, said: outcome.replaceAll("_", " ") });
  go();
}

function go() {
  location.assign(following ? `/console/cases/${following}` : "/console");
}

async function deed(name) {
  try {
    if (name === "approve") await ask("POST", `/v1/cases/${id}/approve`, {});
    else if (name === "release") await ask("POST", `/v1/cases/${id}/release`, { token: Number(page.dataset.token) });
    else {
      const text = prompt(name === "escalate" ? "Why should a senior look?" : "Why do you not agree?");
      if (!text) return;
      await ask("POST", `/v1/cases/${id}/${name}`, { text, token: Number(page.dataset.token) });
    }
    go();
  } catch (error) {
    fault(error);
  }
}

async function claim() {
  try {
    const taken = await ask("POST", `/v1/cases/${id}/claim`, {});
    page.dataset.token = taken.token;
    page.dataset.mine = "true";
    setInterval(() => ask("POST", `/v1/cases/${id}/heartbeat`, { token: taken.token }).catch(fault), HEARTBEAT);
  } catch (error) {
    fault(error);
  }
}

// Looking

function reveal(on) {
  const clip = clips()[shown];
  if (!clip) return;
  clip.classList.toggle("seen", on);
  if (on) {
    video()?.play();
    if (!clip.dataset.counted) {
      clip.dataset.counted = "yes";
      expose();
    }
  } else video()?.pause();
}

function expose() {
  const count = Number(sessionStorage.getItem("firstplay.exposure") ?? 0) + 1;
  sessionStorage.setItem("firstplay.exposure", count);
  told(count);
}

function told(count) {
  const rest = count >= BREAK_AFTER ? " That is a lot: take a break." : "";
  document.getElementById("exposure").textContent = `You have seen ${count} clips in full since you signed in.${rest}`;
}

function step(by) {
  const playing = video();
  if (!playing) return;
  playing.pause();
  playing.currentTime = Math.max(0, playing.currentTime + by * FRAME);
}

function hear() {
  const playing = video();
  if (!playing) return;
  playing.muted = !playing.muted;
  clips()[shown].querySelector(".hear").setAttribute("aria-pressed", String(!playing.muted));
}

clips().forEach((clip, index) => {
  const held = clip.querySelector(".reveal");
  const on = () => ((shown = index), reveal(true));
  held.addEventListener("pointerdown", on);
  for (const end of ["pointerup", "pointerleave", "blur"]) held.addEventListener(end, () => reveal(false));
  clip.querySelectorAll(".step").forEach((one) => one.addEventListener("click", () => ((shown = index), step(Number(one.dataset.by)))));
  clip.querySelector(".hear")?.addEventListener("click", () => ((shown = index), hear()));
});

// Keys

form.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (button?.dataset.outcome) decide(button.dataset.outcome);
  if (button?.dataset.deed) deed(button.dataset.deed);
});
form.addEventListener("submit", (event) => event.preventDefault());
document.getElementById("note").addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    await ask("POST", `/v1/cases/${id}/notes`, { text: event.target.elements.text.value });
    location.reload();
  } catch (error) {
    fault(error);
  }
});
document.addEventListener("keydown", (event) => {
  if (!bare(event)) return;
  const key = event.key;
  const rule = form.querySelector(`[name=rule][data-key="${CSS.escape(key)}"]`);
  const outcome = form.querySelector(`[data-outcome][data-key="${CSS.escape(key)}"]`);
  const second = { a: "approve", r: "disagree" }[key];
  if (key === " " && !event.target.closest("button")) {
    event.preventDefault();
    if (!event.repeat) reveal(true);
  } else if (key >= "1" && key <= "9" && rule) rule.checked = !rule.checked;
  else if (outcome) decide(outcome.dataset.outcome);
  else if (second && form.querySelector(`[data-deed=${second}]`)) deed(second);
  else if (key === "e" && form.querySelector("[data-deed=escalate]")) deed("escalate");
  else if (key === "g" && form.querySelector("[data-deed=release]")) deed("release");
  else if (key === "u") undo();
  else if (key === ",") step(-1);
  else if (key === ".") step(1);
  else if (key === "m") hear();
  else if (key === "j") go();
  else if (key === "?") document.getElementById("help").showModal();
});
document.addEventListener("keyup", (event) => event.key === " " && reveal(false));

if (page.dataset.status === "waiting" || page.dataset.mine === "true") claim();
told(Number(sessionStorage.getItem("firstplay.exposure") ?? 0));
