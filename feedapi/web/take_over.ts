// Whoever reviews a case plays on from a moment of a clip; what they find is filed with the keys that led there.
// Grey and silent until they ask for colour and sound.

import { ask, fault } from "./asking.js";
import { Controls } from "./controls.js";
import { byId, first, opaque } from "./dom.js";
import { expose } from "./exposure.js";
import { uuid } from "./hex.js";
import { shortcuts } from "./keys.js";
import { hearts, Live, Pace } from "./live.js";
import { muteButton, Speaker } from "./sound.js";
import type { Frame } from "./wire.js";

interface Leave {
  token: string;
  socket: string;
  longest: number;
}

interface Sighting {
  rule: string;
  text: string;
  playthrough: string;
  start: number;
  end: number;
  clip: string;
  reproduced: boolean;
}

const data = first(".takeover").dataset;
const canvas = byId<HTMLCanvasElement>("canvas");
const contexts = { frame: opaque(canvas) };
const dialog = byId<HTMLDialogElement>("filing");
const finding = byId<HTMLFormElement>("finding");
const speaker = new Speaker(24000, 1600);
const pace = new Pace();
const FPS = 15;
let live: Live | null = null;
let leave: Leave | null = null;
let at = 0; // step of the frame on screen
let held = 0; // step of the frame that is being filed
let key = ""; // one per moment that is filed

function notice(text: string): void {
  byId("notice").hidden = text === "";
  byId("notice").textContent = text;
}

async function start(): Promise<void> {
  notice("Going to the moment…");
  fault(null);
  try {
    const moment = { playthrough: data.playthrough, step: Number(data.step) };
    leave ??= await ask<Leave>("POST", `/v1/cases/${data.case}/takeovers`, moment);
    connect(leave.socket);
  } catch (error) {
    notice("");
    fault(error);
  }
}

/** Each connection begins at the moment. */
function connect(path: string): void {
  live?.leave();
  live = new Live(path, {
    contexts,
    heard: (samples) => speaker.push(samples),
    shown: show,
    painted: (frame, now) => pace.measure(frame, now),
    closed: ended,
  });
  canvas.focus({ preventScroll: true });
}

function show(frame: Frame): void {
  notice(frame.done ? "The goal is reached. R goes back to the moment." : "");
  document.documentElement.dataset.live = "yes";
  canvas.dataset.tick = String(frame.tick);
  canvas.dataset.step = String(frame.step);
  at = frame.step;
  byId("health").textContent = hearts(frame.health);
  byId("coins").textContent = String(frame.coins);
  byId("keys").textContent = String(frame.keys);
  byId("at").textContent = `${(frame.step / FPS).toFixed(1)} s, ${(frame.step - Number(data.step)) / FPS < 0 ? "" : "+"}${((frame.step - Number(data.step)) / FPS).toFixed(1)} s`;
}

function ended({ reason }: { reason: string }): void {
  document.documentElement.dataset.live = "no";
  notice(`Play has ended${reason ? `: ${reason}` : ""}. R goes back to the moment.`);
}

// Filing

function hold(): void {
  if (!leave || !at) return;
  held = at;
  key = uuid();
  opaque(byId<HTMLCanvasElement>("moment")).drawImage(canvas, 0, 0);
  controls.releaseAll(performance.now());
  dialog.showModal();
}

async function file(): Promise<void> {
  if (!leave) return;
  const said = new FormData(finding);
  const body = { step: held, rule: String(said.get("rule")), text: String(said.get("text")) };
  const buttons = finding.querySelectorAll("button");
  for (const button of buttons) button.disabled = true;
  try {
    const path = `/v1/cases/${data.case}/takeovers/${leave.token}/findings`;
    told(await ask<Sighting>("POST", path, body, { "Idempotency-Key": key }));
    finding.reset();
    fault(null);
  } catch (error) {
    fault(error);
  }
  for (const button of buttons) button.disabled = false;
  dialog.close();
  canvas.focus({ preventScroll: true });
}

function told(found: Sighting): void {
  const item = document.createElement("li");
  const link = document.createElement("a");
  link.href = found.clip;
  link.textContent = `${found.text || found.rule}, at ${(held / FPS).toFixed(1)} s`;
  const small = document.createElement("small");
  small.textContent = found.reproduced ? " filed; the replay is bit-identical" : " filed; the replay goes another way than you saw";
  item.append(link, small);
  byId("filed").append(item);
}

function colour(): void {
  const on = first(".screen").classList.toggle("grey") === false;
  byId("colour").setAttribute("aria-pressed", String(on));
  if (on && !canvas.dataset.counted) {
    canvas.dataset.counted = "yes";
    expose();
  }
}

const controls = new Controls((keys, now) => live?.keys(keys, now), () => speaker.unlock());
shortcuts({ KeyF: hold, KeyC: colour, KeyR: () => void start(), KeyM: () => byId("mute").click() });
document.getElementById("file")?.addEventListener("click", hold);
byId("again").addEventListener("click", () => void start());
byId("colour").addEventListener("click", colour);
byId("drop").addEventListener("click", () => dialog.close());
finding.addEventListener("submit", (event) => {
  event.preventDefault();
  void file();
});
speaker.setMuted(true);
muteButton(byId("mute"), speaker);
void start();
