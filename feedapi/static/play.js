// A world of the feed: asks for a ticket, plays, and says why it ended.

import { Controls } from "./controls.js";
import { hearts, Live, muteButton, Pace } from "./live.js";
import { Speaker } from "./sound.js";
import { wantedCodec } from "./video.js";
import { CLOSE } from "./wire.js";

const CLOSED = {
  1012: "The server is restarting.",
  [CLOSE.TRY_AGAIN_LATER]: "All places are taken. Try again in a minute.",
  [CLOSE.BAD_TICKET]: "The ticket was no longer good.",
  [CLOSE.GUARDED]: "Play has ended: this world showed something that is not allowed here. It is being looked at.",
  [CLOSE.NOT_PUBLISHED]: "This world was withdrawn.",
  [CLOSE.UNGUARDED]: "Nobody can watch over play just now. Try again in a minute.",
};
const DROPPED = 1006; // the connection was lost, and nobody closed it
const TRIES = 5;

const world = document.querySelector("[data-world]").dataset.world;
const byId = (id) => document.getElementById(id);
const canvas = byId("canvas");
const contexts = { frame: canvas.getContext("2d", { alpha: false }) };
const speaker = new Speaker(24000, 1600);
const pace = new Pace(byId);
let live = null;
let resume = null; // with it the session goes on after the connection was lost
let tries = 0;

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
    tries = 0;
    connect(body.socket);
  } catch {
    notice("The server cannot be reached.", true);
  }
}

async function connect(path) {
  live = new Live(`${path}&video=${await wantedCodec()}`, {
    contexts,
    shown: show,
    told,
    closed: ended,
    heard: (samples) => speaker.push(samples),
    painted: (frame, now) => pace.measure(frame, now),
  });
}

function told(message) {
  if (message.type === "hello") resume = message.resume;
  if (message.type === "queue") {
    notice(message.position ? `All places are taken. You are number ${message.position} in the queue.` : "Your turn…");
  }
  if (message.type === "held") {
    document.documentElement.dataset.held = "yes"; // the picture is covered until the next one comes
    notice("Looking ahead, one moment…");
  }
}

function ended({ code, reason }) {
  document.documentElement.dataset.live = "no";
  if (code === DROPPED && resume !== null && tries < TRIES) {
    tries += 1;
    notice("The connection was lost. Trying to go on…");
    const path = `/v1/worlds/${encodeURIComponent(world)}/play?resume=${encodeURIComponent(resume)}`;
    return setTimeout(() => connect(path), 1000 * tries);
  }
  notice(CLOSED[code] ?? (reason ? `Play has ended: ${reason}.` : "The connection was lost."), true);
}

function report() {
  if (!live || live.over || canvas.dataset.tick === undefined) return;
  live.report();
  byId("reported").textContent = "Reported. Thank you: a person can look at this moment.";
}

function show(frame) {
  tries = 0;
  notice(frame.done ? "You made it!" : "");
  document.documentElement.dataset.live = "yes";
  document.documentElement.dataset.held = "no";
  canvas.dataset.tick = frame.tick;
  byId("health").textContent = hearts(frame.health);
  byId("coins").textContent = frame.coins;
  byId("keys").textContent = frame.keys;
}

new Controls((held, at) => live?.keys(held, at), () => speaker.unlock());
window.addEventListener("keydown", (event) => {
  const typing = event.target instanceof Element && event.target.closest("input, select, textarea");
  if (event.code === "KeyR" && !event.repeat && !event.ctrlKey && !event.metaKey && !event.altKey && !typing) report();
});
byId("report").addEventListener("click", report);
muteButton(byId("mute"), speaker);
start();
