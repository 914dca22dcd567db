// A world on the player's own device: a signed bundle, the model in WebAssembly or WebGPU, the same controls.
//
// Whatever stands against it (the policy, this browser, a slow machine), the world is streamed instead, here.

import { fetchBundle, fetchGraph, type Bundle } from "./bundle.js";
import { Controls } from "./controls.js";
import { byId, first, opaque } from "./dom.js";
import { Gamepads } from "./gamepad.js";
import { shortcuts } from "./keys.js";
import { hearts } from "./live.js";
import type { Model, Player, Seen, Sounds } from "./player.js";
import { Play, type Stage } from "./session.js";
import { muteButton, Speaker } from "./sound.js";
import { Watch } from "./watch.js";
import { KEY } from "./wire.js";

const MOST = 30_000; // steps of one life that can be reported
const REST = 30; // steps that a reached goal stays on the screen
const SLOW = 5; // frames a second, under which the world is streamed instead
const TRIAL = 8; // steps that a way to run the model is timed by
const ENOUGH = 30; // ms a step: no other way is tried

const { world = "", key = "", runtime = "" } = first("[data-world]").dataset;
const canvas = byId<HTMLCanvasElement>("canvas");
const context = opaque(canvas);
const root = document.documentElement;
const speaker = new Speaker(24000, 1600);

function notice(text: string, again = false): void {
  const box = byId("notice");
  box.hidden = text === "";
  box.textContent = text;
  if (!again) return;
  const button = document.createElement("button");
  button.className = "button";
  button.textContent = "Play again";
  button.addEventListener("click", () => location.reload());
  box.append(" ", button);
}

// Keys: the same as in live play, latched at each step (feedapi/session.py)

let held = 0;
let tapped = 0;
let streamed: Play | null = null;

function press(keys: number, at: number): void {
  tapped |= keys & ~held;
  held = keys;
  streamed?.keys(keys, at);
}

function latched(): Set<string> {
  const keys = (held & ~KEY.INTERACT) | tapped;
  tapped = 0;
  return new Set(Object.entries(KEY).flatMap(([name, bit]) => (keys & bit ? [name.toLowerCase()] : [])));
}

// Play on the device

/** One start: what was played since, so that it can be reported and regenerated. */
class Life {
  readonly actions: number[] = [];
  readonly events: number[] = [];
  readonly clips: number[] = [];
  rested = 0;

  constructor(readonly number: number) {}

  add(action: number, { events, clip }: Seen): void {
    this.actions.push(action);
    this.events.push(events.reduce((bits: number, happened, bit) => bits | (happened ? 1 << bit : 0), 0));
    this.clips.push(clip);
  }
}

class Local {
  private life = new Life(0);
  private readonly watch: Watch;
  private readonly draw: (frame: Uint8Array) => void;
  private reported = false;
  over = false;

  constructor(
    private readonly bundle: Bundle,
    private readonly model: Model,
    private readonly player: Player,
    readonly sounds: Sounds,
  ) {
    const { guard, about } = bundle.header;
    this.watch = new Watch(guard.same, guard.hashes);
    this.draw = painter(about.frame_size);
    byId("known").textContent = String(this.watch.known);
    byId("bundle").textContent = bundle.header.version.slice(0, 12);
  }

  /** Steps at the model's pace until it is over; throws where this device is too slow. */
  async run(): Promise<void> {
    const pace = 1000 / this.bundle.header.about.fps;
    const rate = new Rate();
    let due = performance.now();
    while (!this.over) {
      if (document.hidden) {
        await new Promise((seen) => document.addEventListener("visibilitychange", seen, { once: true }));
        rate.forget();
        continue;
      }
      const began = performance.now();
      await this.step();
      rate.measure(began, performance.now() - began);
      due = Math.max(due + pace, performance.now() - pace); // it falls behind, it does not catch up
      await new Promise((next) => setTimeout(next, Math.max(0, due - performance.now())));
    }
  }

  private async step(): Promise<void> {
    const action = this.player.actionOf(latched());
    const seen = await this.model.step(action);
    this.life.add(action, seen);
    if (this.watch.sees(seen.frame, this.bundle.header.about.frame_size)) return this.stop();
    this.draw(seen.frame);
    this.sounds.hear(seen);
    this.show();
  }

  private show(): void {
    const number = (name: string) => Number(this.model.state[name]?.data[0] ?? 0);
    byId("health").textContent = hearts(number("health"));
    byId("coins").textContent = String(number("coins"));
    byId("keys").textContent = String(number("keys"));
    canvas.dataset.tick = String(number("step"));
    root.dataset.live = "yes";
    const done = number("done") !== 0;
    notice(done ? "You made it!" : "");
    this.life.rested = done ? this.life.rested + 1 : 0;
    if (this.life.rested >= REST || this.life.actions.length >= MOST) this.again();
  }

  private again(): void {
    this.life = new Life(this.life.number + 1);
    this.model.restart(BigInt(this.bundle.header.about.seed) + BigInt(this.life.number));
  }

  /** A flagged view: it is never drawn, and nothing more is. */
  private stop(): void {
    this.over = true;
    root.dataset.live = "no";
    context.fillStyle = "black";
    context.fillRect(0, 0, canvas.width, canvas.height);
    this.sounds.setMuted(true);
    notice("Play has ended: this world came to a view that was flagged before. It is being looked at.");
    void this.report("flagged");
  }

  async report(kind: "flagged" | "player"): Promise<void> {
    if (this.reported || this.life.actions.length === 0) return;
    this.reported = true;
    const { actions, events, clips, number } = this.life;
    const answer = await fetch(`/v1/worlds/${encodeURIComponent(world)}/device/reports`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({
        ticket: this.bundle.header.report,
        kind,
        life: number,
        actions: base64(Uint8Array.from(actions)),
        events: base64(Uint16Array.from(events)),
        clips: base64(Int16Array.from(clips)),
      }),
    });
    byId("reported").textContent = answer.ok
      ? "Reported. Thank you: a person can look at this moment."
      : "The report did not go through.";
    this.reported = answer.ok;
  }
}

function base64(numbers: Uint8Array | Uint16Array | Int16Array): string {
  const bytes = new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength);
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
}

function painter(size: number): (frame: Uint8Array) => void {
  const image = context.createImageData(size, size);
  image.data.fill(255);
  const area = size * size;
  return (frame) => {
    for (let from = 0, to = 0; from < area; from += 1, to += 4) {
      image.data[to] = frame[from] ?? 0;
      image.data[to + 1] = frame[area + from] ?? 0;
      image.data[to + 2] = frame[2 * area + from] ?? 0;
    }
    context.putImageData(image, 0, 0);
  };
}

/** Frames a second and milliseconds a step of the last two seconds. */
class Rate {
  private times: { at: number; spent: number }[] = [];
  private since = performance.now();

  /** What was before a pause says nothing. */
  forget(): void {
    this.times = [];
    this.since = performance.now();
  }

  measure(at: number, spent: number): void {
    this.times = [...this.times.slice(-29), { at, spent }];
    const oldest = this.times[0];
    if (oldest === undefined || this.times.length < 30) return;
    const rate = ((this.times.length - 1) * 1000) / (at - oldest.at);
    const sorted = this.times.map((one) => one.spent).sort((a, b) => a - b);
    byId("rate").textContent = rate.toFixed(1);
    byId("step").textContent = `${(sorted[sorted.length >> 1] ?? 0).toFixed(1)} ms`;
    if (rate < SLOW && at - this.since > 5000) throw new Error("this device is too slow for it");
  }
}

/** The fastest way to run the model here: WebGPU where there is one and it is fast enough, else WebAssembly. */
async function openModel(player: Player, bundle: Bundle, graph: Uint8Array): Promise<Model> {
  const world = player.worldOf(bundle.header.about, bundle.data);
  const library = new URL(runtime, location.href).href;
  const threads = crossOriginIsolated && navigator.hardwareConcurrency >= 4 ? 2 : 1;
  const open = (ep: string) => player.Model.open(world, { library, graph }, { ep, threads });
  if (!(await hasGpu())) return open("wasm");
  const gpu = await open("webgpu");
  const spent = await time(gpu);
  if (spent <= ENOUGH || gpu.way.provider !== "webgpu") return gpu;
  const wasm = await open("wasm");
  return (await time(wasm)) < spent ? wasm : gpu;
}

async function hasGpu(): Promise<boolean> {
  const { gpu } = navigator as { gpu?: { requestAdapter(): Promise<object | null> } };
  return gpu !== undefined && (await gpu.requestAdapter().catch(() => null)) !== null;
}

async function time(model: Model): Promise<number> {
  const began = performance.now();
  for (let step = 0; step < TRIAL; step += 1) await model.step(0);
  model.restart(model.world.about.seed);
  return (performance.now() - began) / TRIAL;
}

async function load(): Promise<Local> {
  const bundle = await fetchBundle(world, key, notice);
  notice("Loading the model…");
  const [graph, parts] = await Promise.all([
    fetchGraph(bundle.header.graph),
    Promise.all(["model", "keys", "sound"].map((name) => import(`/player/${name}.js`))),
  ]);
  const player = Object.assign({}, ...parts) as Player;
  const model = await openModel(player, bundle, graph);
  byId("way").textContent = model.way.provider === "webgpu" ? "WebGPU" : `WebAssembly, ${model.way.threads} thread(s)`;
  return new Local(bundle, model, player, new player.Sounds(model.world));
}

// From the server instead

function stream(why: string): void {
  byId("where").replaceChildren(`Played from the server: ${why}`);
  byId("way").textContent = "the server";
  const stage: Stage = {
    context,
    speaker,
    notice,
    shown: (frame) => {
      root.dataset.live = "yes";
      canvas.dataset.tick = String(frame.tick);
      byId("health").textContent = hearts(frame.health);
      byId("coins").textContent = String(frame.coins);
      byId("keys").textContent = String(frame.keys);
    },
    ended: () => (root.dataset.live = "no"),
  };
  streamed = new Play(world, stage);
  void streamed.start();
}

let local: Local | null = null;

function gesture(): void {
  if (streamed) speaker.unlock();
  else local?.sounds.unlock();
}

function report(): void {
  if (streamed?.report()) byId("reported").textContent = "Reported. Thank you: a person can look at this moment.";
  void local?.report("player");
}

new Gamepads(new Controls(press, gesture));
shortcuts({ KeyR: report });
byId("report").addEventListener("click", report);
muteButton(byId("mute"), {
  get muted() {
    return speaker.muted;
  },
  setMuted(muted: boolean) {
    speaker.setMuted(muted);
    local?.sounds.setMuted(muted);
  },
});
window.addEventListener("pagehide", () => streamed?.leave());

try {
  local = await load();
  await local.run();
} catch (error) {
  local = null;
  stream(error instanceof Error ? error.message : String(error));
}
