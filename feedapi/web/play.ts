// The page of one world: plays it, and says how fast it answers.

import { Controls } from "./controls.js";
import { byId, first, opaque } from "./dom.js";
import { Gamepads } from "./gamepad.js";
import { shortcuts } from "./keys.js";
import { hearts, Pace } from "./live.js";
import { Play, type Stage } from "./session.js";
import { share } from "./share.js";
import { muteButton, Speaker } from "./sound.js";
import type { Frame } from "./wire.js";

const { world = "" } = first("[data-world]").dataset;
const canvas = byId<HTMLCanvasElement>("canvas");
const speaker = new Speaker(24000, 1600);
const pace = new Pace();
const stage: Stage = {
  context: opaque(canvas),
  speaker,
  notice,
  shown: show,
  painted: (frame, now) => pace.measure(frame, now),
  ended: () => (document.documentElement.dataset.live = "no"),
};
let play = new Play(world, stage);

function notice(text: string, again = false): void {
  const box = byId("notice");
  box.hidden = text === "";
  box.textContent = text;
  if (again) box.append(" ", againButton());
}

function againButton(): HTMLButtonElement {
  const button = document.createElement("button");
  button.className = "button";
  button.textContent = "Play again";
  button.addEventListener("click", () => {
    play = new Play(world, stage);
    void play.start();
  });
  return button;
}

function report(): void {
  if (play.report()) byId("reported").textContent = "Reported. Thank you: a person can look at this moment.";
}

function show(frame: Frame): void {
  document.documentElement.dataset.live = "yes";
  canvas.dataset.tick = String(frame.tick);
  byId("health").textContent = hearts(frame.health);
  byId("coins").textContent = String(frame.coins);
  byId("keys").textContent = String(frame.keys);
}

const controls = new Controls((held, at) => play.keys(held, at), () => speaker.unlock());
new Gamepads(controls);
shortcuts({ KeyR: report });
byId("report").addEventListener("click", report);
byId("share").addEventListener("click", () => void share(document.title, location.href, byId("reported")));
muteButton(byId("mute"), speaker);
window.addEventListener("pagehide", () => play.leave());
window.addEventListener("pageshow", (event) => event.persisted && location.reload()); // its session has ended
void play.start();
