// A world in the making, played by the world model while it is edited. It walks by itself until somebody takes over.

import { Controls } from "./controls.js";
import { byId, opaque } from "./dom.js";
import { Live } from "./live.js";
import { muteButton, Speaker } from "./sound.js";
import { KEY } from "./wire.js";

const BEAT = 100; // ms between two steps of walking by itself
const PATIENCE = 8000; // ms without a key after which it walks by itself again
const RATE = { sound: 24_000, tick: 1600 };

/** What walking by itself holds at a beat: mostly onward, with jumps, and now and then some way back. */
function stroll(beat: number): number {
  const back = beat % 120 > 100;
  const jump = beat % 13 < 3 ? KEY.UP : beat % 40 > 34 ? KEY.DOWN : 0;
  return (back ? KEY.LEFT : KEY.RIGHT) | jump;
}

export class LivingPreview {
  private live: Live | null = null;
  private running = !matchMedia("(prefers-reduced-motion: reduce)").matches;
  private touched = -Infinity;
  private beat = 0;
  private strolled = 0;
  private readonly canvas = byId<HTMLCanvasElement>("canvas");
  private readonly context = opaque(this.canvas);
  private readonly button = byId<HTMLButtonElement>("run");
  private readonly speaker = new Speaker(RATE.sound, RATE.tick);

  /** again() asks for a new preview, since each is good for one start. */
  constructor(private readonly again: () => void) {
    new Controls((held, at) => this.take(held, at), () => this.speaker.unlock(), this.canvas);
    muteButton(byId("mute"), this.speaker);
    byId("mute").addEventListener("click", () => this.speaker.unlock());
    this.button.addEventListener("click", () => this.toggle());
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) this.leave();
      else if (this.running && !this.button.disabled) this.again();
    });
    setInterval(() => this.walk(), BEAT);
    this.label();
  }

  /** Play what was last previewed, from its start. */
  start(path: string): void {
    this.button.disabled = false;
    this.leave();
    if (!this.running) return this.notice("Paused");
    if (document.hidden) return;
    this.notice("Waking the world…");
    this.live = new Live(path, {
      contexts: { frame: this.context },
      heard: (samples) => this.speaker.push(samples),
      shown: (frame) => {
        this.canvas.dataset.tick = String(frame.tick);
        this.notice(frame.done ? "The goal! It starts again in a moment." : "");
      },
      painted: () => {},
      told: (said) => {
        if (said.type === "queue" && said.position > 0) this.notice(`Others are looking at theirs: number ${said.position} in line`);
      },
      closed: ({ reason }) => this.stop(reason || "The server has stopped"),
    });
  }

  private toggle(): void {
    if (this.running) return this.stop("Paused");
    this.running = true;
    this.label();
    this.again();
  }

  private stop(why: string): void {
    this.leave();
    this.running = false;
    this.label();
    this.notice(why);
  }

  private leave(): void {
    this.live?.leave();
    this.live = null;
    this.strolled = 0;
  }

  private label(): void {
    this.button.setAttribute("aria-pressed", String(this.running));
    this.button.textContent = this.running ? "Pause" : "Play it";
  }

  private notice(text: string): void {
    byId("notice").hidden = text === "";
    byId("notice").textContent = text;
  }

  private take(held: number, at: number): void {
    this.touched = performance.now();
    this.live?.keys(held, at);
  }

  private walk(): void {
    this.beat += 1;
    if (!this.live || performance.now() - this.touched < PATIENCE) return;
    const held = stroll(this.beat);
    if (held === this.strolled) return;
    this.strolled = held;
    this.live.keys(held, performance.now());
  }
}
