// One live session's socket: takes frames, draws each newest one, tells the server what is drawn, sends keys.

import { KEY_FLAG, VIDEO_FLAG } from "./protocol.js";
import { Pictures } from "./video.js";
import { drawnMessage, keyFrameMessage, keysMessage, parseFrame, reportMessage, viewMessage } from "./wire.js";

export class Live {
  /**
   * contexts: what to draw on, by what it shows (frame, truth, difference; the last two only where wanted).
   * heard(samples), shown(frame) for every frame drawn, painted(frame, now) when the browser has painted,
   * told(notice) for the greeting and for every change of the place in the queue,
   * closed({code, reason}) once, unless it was this side that closed.
   */
  constructor(path, { contexts, heard, shown, painted, closed, told = () => {} }) {
    Object.assign(this, { contexts, heard, shown, painted, newest: 0 });
    this.pictures = new Pictures(() => this.send(keyFrameMessage()));
    const address = new URL(path, location.href);
    address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
    this.socket = new WebSocket(address);
    this.socket.binaryType = "arraybuffer";
    this.socket.addEventListener("message", ({ data }) => {
      if (typeof data === "string") told(JSON.parse(data));
      else this.receive(parseFrame(data));
    });
    this.socket.addEventListener("close", (event) => {
      if (this.over) return;
      this.over = true; // a frame that is still being decoded must not paint over why it ended
      this.pictures.close();
      closed(event);
    });
  }

  async receive(frame) {
    if (frame.jpeg.length === 0) return this.darken();
    this.heard(frame.sound);
    const wanted = { frame: frame.jpeg, truth: frame.beside?.jpeg, difference: frame.beside?.difference };
    const named = Object.entries(wanted).filter(([name, jpeg]) => jpeg && this.contexts[name]);
    const video = (frame.flags & VIDEO_FLAG) !== 0;
    const key = (frame.flags & KEY_FLAG) !== 0;
    const bitmaps = await Promise.all(
      named.map(([name, data]) =>
        this.pictures.decode({ tick: frame.tick, data, video: video && name === "frame", key }),
      ),
    );
    if (frame.tick > this.newest && !this.over && !this.dark) {
      this.newest = frame.tick;
      named.forEach(([name], index) => bitmaps[index] && this.contexts[name].drawImage(bitmaps[index], 0, 0));
      this.shown(frame);
    }
    for (const bitmap of bitmaps) bitmap?.close();
    requestAnimationFrame((now) => this.paint(frame, now));
  }

  /** The server takes the picture back: what is still being decoded must not be shown either. */
  darken() {
    this.dark = true;
    for (const context of Object.values(this.contexts)) {
      context.fillStyle = "black";
      context.fillRect(0, 0, context.canvas.width, context.canvas.height);
    }
  }

  // Acknowledged when the browser paints, so that a hidden or slow page gets no more frames than it can show.
  paint(frame, now) {
    this.send(drawnMessage(frame.tick));
    if (!this.over) this.painted(frame, now);
  }

  keys(held, at) {
    this.send(keysMessage(held, at));
  }

  view(bits) {
    this.send(viewMessage(bits));
  }

  report() {
    this.send(reportMessage());
  }

  send(message) {
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(message);
  }

  leave() {
    this.over = true;
    this.pictures.close();
    this.socket.close();
  }
}

/** Shows how fast play answers: from key to picture, and where the time goes. */
export class Pace {
  constructor(byId) {
    this.byId = byId;
    this.latencies = [];
    this.frames = 0;
    this.since = performance.now();
    setInterval(() => this.countFrames(), 2000);
  }

  measure(frame, now) {
    this.frames += 1;
    if (frame.echo === 0) return;
    this.latencies = [...this.latencies.slice(-49), now - frame.echo];
    const sorted = [...this.latencies].sort((a, b) => a - b);
    this.byId("latency").textContent = `${Math.round(sorted[sorted.length >> 1])} ms (median of ${sorted.length})`;
    this.byId("waited").textContent = `${frame.waitedMs.toFixed(0)} ms`;
    this.byId("step").textContent = `${frame.stepMs.toFixed(1)} ms`;
    this.byId("encode").textContent = `${frame.encodeMs.toFixed(2)} ms`;
  }

  countFrames() {
    const now = performance.now();
    this.byId("rate").textContent = ((this.frames * 1000) / (now - this.since)).toFixed(1);
    this.frames = 0;
    this.since = now;
  }
}

/** The button that switches the sound off and on. */
export function muteButton(button, speaker) {
  button.addEventListener("click", () => {
    speaker.setMuted(!speaker.muted);
    button.setAttribute("aria-pressed", String(speaker.muted));
    button.textContent = speaker.muted ? "Sound off" : "Sound on";
  });
}

export const hearts = (health) => "♥".repeat(health) + "♡".repeat(Math.max(0, 3 - health));
