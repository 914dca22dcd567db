// A world of the feed: asks for a ticket, plays, and says why it ended.

import { Controls } from "./controls.js";
import { hearts, Live, muteButton, Pace } from "./live.js";
import { Speaker } from "./sound.js";

const CLOSED = {
  1012: "The server is restarting.",
  1013: "All places are taken. Try again in a minute.",
  4401: "The ticket was no longer good.",
  4404: "This world was withdrawn.",
};

const world = document.querySelector("[data-world]").dataset.world;
const byId = (id) => document.getElementById(id);
const canvas = byId("canvas");
const contexts = { frame: canvas.getContext("2d", { alpha: false }) };
const speaker = new Speaker(24000, 1600);
const pace = new Pace(byId);
let live = null;

function notice(text, retry = false) {
  const box = byId("notice");
  box.hidden = text === "";
  box.textContent = text;
  if (retry) box.append(" ", retryButton());
}

function retryButton() {
  const button = document.createElement("button");
  button.className = "button";
  button.textContent = "Play again";
  button.addEventListener("click", start);
  return button;
}

async function start() {
  notice("Waking the world…");
  try {
    const answer = await fetch(`/v1/worlds/${encodeURIComponent(world)}/sessions`, { method: "POST" });
    const body = await answer.json();
    if (!answer.ok) return notice(`${body.title}: ${body.detail}.`, true);
    live = new Live(body.socket, {
      contexts,
      shown: show,
      closed: ended,
      heard: (samples) => speaker.push(samples),
      painted: (frame, now) => pace.measure(frame, now),
    });
  } catch {
    notice("The server cannot be reached.", true);
  }
}

function ended({ code, reason }) {
  document.documentElement.dataset.live = "no";
  notice(CLOSED[code] ?? (reason ? `Play has ended: ${reason}.` : "The connection was lost."), true);
}

function show(frame) {
  notice(frame.done ? "You made it!" : "");
  document.documentElement.dataset.live = "yes";
  canvas.dataset.tick = frame.tick;
  byId("health").textContent = hearts(frame.health);
  byId("coins").textContent = frame.coins;
  byId("keys").textContent = frame.keys;
}

new Controls((held, at) => live?.keys(held, at), () => speaker.unlock());
muteButton(byId("mute"), speaker);
start();
