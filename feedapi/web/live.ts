// One live session's socket: takes frames, draws each newest one, tells the server what is drawn, sends keys.

import { byId } from "./dom.js";
import { KEY_FLAG, VIDEO_FLAG } from "./protocol.js";
import { Pictures } from "./video.js";
import { drawnMessage, keyFrameMessage, keysMessage, parseFrame, reportMessage, viewMessage, type Frame } from "./wire.js";

type Shown = "frame" | "truth" | "difference";

/** What the server says in words: how play begins, and the place in the queue. */
export type Notice =
  | { type: "hello"; frame: number; fps: number; sample_rate: number; ready: boolean; resume: string; watch: string }
  | { type: "queue"; position: number }
  /** The world stands still until the guard has caught up. */
  | { type: "held" };

export interface Hooks {
  /** What to draw on, by what it shows; the last two only where wanted. */
  contexts: Partial<Record<Shown, CanvasRenderingContext2D>>;
  heard(samples: Int16Array): void;
  /** For every frame that is drawn. */
  shown(frame: Frame): void;
  /** When the browser has painted it. */
  painted(frame: Frame, now: number): void;
  /** For the greeting and for every change of the place in the queue. */
  told?(notice: Notice): void;
  /** Once, unless it was this side that closed. */
  closed(event: { code: number; reason: string }): void;
}

export class Live {
  readonly socket: WebSocket;
  over = false;
  private newest = 0;
  private dark = false;
  private readonly pictures = new Pictures(() => this.send(keyFrameMessage()));

  constructor(
    path: string,
    private readonly hooks: Hooks,
  ) {
    const address = new URL(path, location.href);
    address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
    this.socket = new WebSocket(address);
    this.socket.binaryType = "arraybuffer";
    this.socket.addEventListener("message", ({ data }: MessageEvent<string | ArrayBuffer>) => {
      if (typeof data === "string") hooks.told?.(JSON.parse(data) as Notice);
      else void this.receive(parseFrame(data));
    });
    this.socket.addEventListener("close", (event) => {
      if (this.over) return;
      this.over = true; // a frame that is still being decoded must not paint over why it ended
      this.pictures.close();
      hooks.closed(event);
    });
  }

  private async receive(frame: Frame): Promise<void> {
    if (frame.jpeg.length === 0) return this.darken();
    this.hooks.heard(frame.sound);
    const bitmaps = await Promise.all(
      this.wanted(frame).map(async ([name, data]) => {
        const video = name === "frame" && (frame.flags & VIDEO_FLAG) !== 0;
        const coded = { tick: frame.tick, data, video, key: (frame.flags & KEY_FLAG) !== 0 };
        return [name, await this.pictures.decode(coded)] as const;
      }),
    );
    if (frame.tick > this.newest && !this.over && !this.dark) {
      this.newest = frame.tick;
      for (const [name, bitmap] of bitmaps) if (bitmap) this.hooks.contexts[name]?.drawImage(bitmap, 0, 0);
      this.hooks.shown(frame);
    }
    for (const [, bitmap] of bitmaps) bitmap?.close();
    requestAnimationFrame((now) => this.paint(frame, now));
  }

  private wanted(frame: Frame): [Shown, Uint8Array<ArrayBuffer>][] {
    const all: [Shown, Uint8Array<ArrayBuffer> | undefined][] = [
      ["frame", frame.jpeg],
      ["truth", frame.beside?.jpeg],
      ["difference", frame.beside?.difference],
    ];
    return all.flatMap(([name, jpeg]) => (jpeg && this.hooks.contexts[name] ? [[name, jpeg]] : []));
  }

  /** The server takes the picture back: what is still being decoded must not be shown either. */
  private darken(): void {
    this.dark = true;
    for (const context of Object.values(this.hooks.contexts)) {
      context.fillStyle = "black";
      context.fillRect(0, 0, context.canvas.width, context.canvas.height);
    }
  }

  // Acknowledged when the browser paints, so that a hidden or slow page gets no more frames than it can show.
  private paint(frame: Frame, now: number): void {
    this.send(drawnMessage(frame.tick));
    if (!this.over) this.hooks.painted(frame, now);
  }

  keys(held: number, at: number): void {
    this.send(keysMessage(held, at));
  }

  view(bits: number): void {
    this.send(viewMessage(bits));
  }

  report(): void {
    this.send(reportMessage());
  }

  private send(message: ArrayBuffer): void {
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(message);
  }

  leave(): void {
    this.over = true;
    this.pictures.close();
    // in order: the server keeps no place for somebody who left; a socket that is still opening cannot say so
    const close = () => this.socket.close(1000);
    if (this.socket.readyState === WebSocket.CONNECTING) this.socket.addEventListener("open", close);
    else close();
  }
}

/** Shows how fast play answers: from key to picture, and where the time goes. */
export class Pace {
  private latencies: number[] = [];
  private frames = 0;
  private since = performance.now();

  constructor() {
    setInterval(() => this.countFrames(), 2000);
  }

  measure(frame: Frame, now: number): void {
    this.frames += 1;
    if (frame.echo === 0) return;
    this.latencies = [...this.latencies.slice(-49), now - frame.echo];
    const sorted = [...this.latencies].sort((a, b) => a - b);
    const median = sorted[sorted.length >> 1] ?? 0;
    byId("latency").textContent = `${Math.round(median)} ms (median of ${sorted.length})`;
    byId("waited").textContent = `${frame.waitedMs.toFixed(0)} ms`;
    byId("step").textContent = `${frame.stepMs.toFixed(1)} ms`;
    byId("encode").textContent = `${frame.encodeMs.toFixed(2)} ms`;
  }

  private countFrames(): void {
    const now = performance.now();
    byId("rate").textContent = ((this.frames * 1000) / (now - this.since)).toFixed(1);
    this.frames = 0;
    this.since = now;
  }
}

export const hearts = (health: number) => "♥".repeat(health) + "♡".repeat(Math.max(0, 3 - health));
