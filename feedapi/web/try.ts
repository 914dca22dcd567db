// The creator's own page: one world, any start, and the simulator beside the model on a switch.

import { Controls } from "./controls.js";
import { byId, first, opaque } from "./dom.js";
import { hearts, Live, Pace } from "./live.js";
import { muteButton, Speaker } from "./sound.js";
import { VIEW, type Beside, type Frame } from "./wire.js";

const NAMES: Readonly<Record<string, string>> = { collect: "coin", door: "door opened" }; // where their own name says too little
const TREND = 240; // frames that the curve shows
const LOGGED = 24; // chips that stay

const { events: named = "", day = "0" } = first(".tryout").dataset;
const events = named.split(" ");
const canvas = byId<HTMLCanvasElement>("canvas");
const context = (id: string) => opaque(byId<HTMLCanvasElement>(id));
const contexts = { frame: context("canvas"), truth: context("truth"), difference: context("difference") };
const seed = byId<HTMLInputElement>("seed");
const spawn = byId<HTMLSelectElement>("spawn");
const beside = document.getElementById("beside") as HTMLInputElement | null; // not there where the simulator plays
const light = document.getElementById("light"); // nor this, where there is no night
const speaker = new Speaker(24000, 1600);
const pace = new Pace();
let trend: number[] = [];
let live: Live | null = null;

function notice(text: string): void {
  byId("notice").hidden = text === "";
  byId("notice").textContent = text;
}

function start(): void {
  if (!seed.reportValidity()) return;
  live?.leave();
  notice("Waking the world…");
  trend = [];
  byId("log").replaceChildren();
  const query = new URLSearchParams({ seed: seed.value || "0", spawn: spawn.value });
  live = new Live(`/play?${query}`, {
    contexts,
    shown: show,
    closed: ended,
    heard: (samples) => speaker.push(samples),
    painted: (frame, now) => pace.measure(frame, now),
  });
  live.socket.addEventListener("open", look);
  canvas.focus({ preventScroll: true });
}

function ended({ reason }: { reason: string }): void {
  document.documentElement.dataset.live = "no";
  notice(`${reason || "The server has stopped"}. Press R to try again.`);
}

// What is beside

function look(): void {
  const wanted = beside?.checked ?? false;
  for (const part of document.querySelectorAll<HTMLElement>(".beside-only")) part.hidden = !wanted;
  live?.view(wanted ? VIEW.BESIDE : 0);
}

function lineUp(): void {
  if (beside?.checked) live?.view(VIEW.BESIDE | VIEW.LINE_UP);
}

function compare(other: Beside): void {
  const together = other.apart <= 0.5;
  byId("place").textContent = together ? (other.apart === 0 ? "same place" : "within half a tile") : "apart";
  byId("place").dataset.good = String(together);
  byId("apart").textContent = `${other.apart.toFixed(2)} tiles`;
  byId("agreed").textContent = other.steps ? `${percent(other.agreed, other.steps)} of ${other.steps}` : "–";
  byId("psnr").textContent = other.psnr >= 60 ? "equal" : `${other.psnr.toFixed(1)} dB`;
  trend = [...trend.slice(1 - TREND), other.psnr];
  const height = (psnr: number) => 48 - ((Math.min(60, Math.max(10, psnr)) - 10) / 50) * 46 - 1;
  const points = trend.map((psnr, index) => `${index},${height(psnr).toFixed(1)}`);
  first<SVGPolylineElement>("#trend polyline").setAttribute("points", points.join(" "));
}

// Rounded down: 100 % is all of them.
const percent = (part: number, whole: number) => `${(Math.floor((1000 * part) / whole) / 10).toFixed(1)} %`;

// What the playthrough is at

function show(frame: Frame): void {
  notice(frame.done ? "You made it! It starts again in a moment." : "");
  document.documentElement.dataset.live = "yes";
  canvas.dataset.tick = String(frame.tick);
  byId("steps").textContent = String(frame.step);
  byId("health").textContent = hearts(frame.health);
  byId("health").setAttribute("aria-label", `${frame.health} of 3`);
  for (const name of ["coins", "keys", "score"] as const) byId(name).textContent = String(frame[name]);
  if (light) light.textContent = timeOfDay(frame.step, Number(day));
  if (frame.beside) compare(frame.beside);
  log(frame);
}

/** A day begins at noon; see worldmodel/daylight.py. */
function timeOfDay(step: number, length: number): string {
  const hour = (12 + (24 * (step % length)) / length) % 24;
  return `${String(Math.floor(hour)).padStart(2, "0")}:${String(Math.floor((hour % 1) * 60)).padStart(2, "0")}`;
}

function log(frame: Frame): void {
  const simulated = frame.beside?.events ?? frame.events;
  events.forEach((name, bit) => {
    const own = (frame.events >> bit) & 1;
    const theirs = (simulated >> bit) & 1;
    if (own || theirs) chip(name, frame.step, own && theirs ? "" : own ? "the model only" : "the simulator only");
  });
}

function chip(name: string, step: number, whose: string): void {
  const item = document.createElement("li");
  item.className = `chip ${name}`;
  item.append(NAMES[name] ?? name);
  const small = document.createElement("small");
  small.textContent = whose ? `step ${step}, ${whose}` : `step ${step}`;
  item.classList.toggle("alone", whose !== "");
  item.append(" ", small);
  byId("log").prepend(item);
  while (byId("log").childElementCount > LOGGED) byId("log").lastElementChild?.remove();
}

// Keys of this page; those of play are in controls.ts

const SHORTCUTS: Readonly<Record<string, () => void>> = {
  KeyR: start,
  KeyB: () => beside?.click(),
  KeyL: lineUp,
  KeyM: () => byId("mute").click(),
};

window.addEventListener("keydown", (event) => {
  const typing = event.target instanceof Element && event.target.closest("input[type=number], select");
  if (typing || event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
  SHORTCUTS[event.code]?.();
});

new Controls((held, at) => live?.keys(held, at), () => speaker.unlock());
muteButton(byId("mute"), speaker);
beside?.addEventListener("change", look);
byId("line-up").addEventListener("click", lineUp);
byId("reset").addEventListener("click", start);
spawn.addEventListener("change", start);
seed.addEventListener("change", start);
start();
