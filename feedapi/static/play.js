// One live session: asks for a ticket, opens the socket, draws frames, sends keys.

import { Controls } from "./controls.js";
import { Speaker } from "./sound.js";
import { drawnMessage, keysMessage, parseFrame } from "./wire.js";

const CLOSED = {
  1012: "The server is restarting.",
  1013: "All places are taken. Try again in a minute.",
  4401: "The ticket was no longer good.",
  4404: "This world was withdrawn.",
};

const world = document.querySelector("[data-world]").dataset.world;
const byId = (id) => document.getElementById(id);
const canvas = byId("canvas");
const picture = canvas.getContext("2d", { alpha: false });
const speaker = new Speaker(24000, 1600);
const pace = { frames: 0, since: performance.now(), latencies: [] };
let socket = null;
let newest = 0;

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
  newest = 0;
  try {
    const answer = await fetch(`/v1/worlds/${encodeURIComponent(world)}/sessions`, { method: "POST" });
    const body = await answer.json();
    if (!answer.ok) return notice(`${body.title}: ${body.detail}.`, true);
    open(body.socket);
  } catch {
    notice("The server cannot be reached.", true);
  }
}

function open(path) {
  const address = new URL(path, location.href);
  address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
  socket = new WebSocket(address);
  socket.binaryType = "arraybuffer";
  socket.addEventListener("message", ({ data }) => typeof data === "string" || receive(parseFrame(data)));
  socket.addEventListener("close", ({ code, reason }) => {
    document.documentElement.dataset.live = "no";
    notice(CLOSED[code] ?? (reason ? `Play has ended: ${reason}.` : "The connection was lost."), true);
  });
}

async function receive(frame) {
  speaker.push(frame.sound);
  const bitmap = await createImageBitmap(new Blob([frame.jpeg], { type: "image/jpeg" }));
  if (frame.tick > newest) {
    newest = frame.tick;
    picture.drawImage(bitmap, 0, 0);
    show(frame);
  }
  bitmap.close();
  requestAnimationFrame((now) => drawn(frame, now));
}

// Acknowledged when the browser paints, so that a hidden or slow page gets no more frames than it can show.
function drawn(frame, now) {
  if (socket.readyState === WebSocket.OPEN) socket.send(drawnMessage(frame.tick));
  if (frame.echo > 0) measure(frame, now - frame.echo);
}

function show(frame) {
  notice(frame.done ? "You made it!" : "");
  document.documentElement.dataset.live = "yes";
  canvas.dataset.tick = frame.tick;
  byId("health").textContent = "♥".repeat(frame.health) + "♡".repeat(Math.max(0, 3 - frame.health));
  byId("coins").textContent = frame.coins;
  byId("keys").textContent = frame.keys;
  pace.frames += 1;
}

function measure(frame, latency) {
  pace.latencies = [...pace.latencies.slice(-49), latency];
  const sorted = [...pace.latencies].sort((a, b) => a - b);
  byId("latency").textContent = `${Math.round(sorted[sorted.length >> 1])} ms (median of ${sorted.length})`;
  byId("waited").textContent = `${frame.waitedMs.toFixed(0)} ms`;
  byId("step").textContent = `${frame.stepMs.toFixed(1)} ms`;
  byId("encode").textContent = `${frame.encodeMs.toFixed(2)} ms`;
}

function countFrames() {
  const now = performance.now();
  byId("rate").textContent = ((pace.frames * 1000) / (now - pace.since)).toFixed(1);
  pace.frames = 0;
  pace.since = now;
}

new Controls(
  (held, at) => socket?.readyState === WebSocket.OPEN && socket.send(keysMessage(held, at)),
  () => speaker.unlock(),
);
byId("mute").addEventListener("click", ({ currentTarget }) => {
  speaker.setMuted(!speaker.muted);
  currentTarget.setAttribute("aria-pressed", String(speaker.muted));
  currentTarget.textContent = speaker.muted ? "Sound off" : "Sound on";
});
setInterval(countFrames, 2000);
start();
