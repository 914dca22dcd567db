// The page: keys to actions, frames to the canvas, and how fast it goes.
// In the address: ?ep=webgpu, ?threads=2, ?graph=step.int8.onnx, ?seed=7.

import { Keys } from "./keys.js";
import { Model } from "./model.js";
import { Sounds } from "./sound.js";

const byId = (id) => document.getElementById(id);
const times = [];
let sounds = null;

function painter(canvas, size) {
  canvas.width = canvas.height = size;
  const context = canvas.getContext("2d", { alpha: false });
  const image = context.createImageData(size, size);
  image.data.fill(255);
  const area = size * size;
  return (frame) => {
    for (let i = 0, at = 0; i < area; i += 1, at += 4) {
      image.data[at] = frame[i];
      image.data[at + 1] = frame[area + i];
      image.data[at + 2] = frame[2 * area + i];
    }
    context.putImageData(image, 0, 0);
  };
}

function notice(text) {
  byId("notice").hidden = text === "";
  byId("notice").textContent = text;
}

function show(state, seen) {
  const health = state.health.data[0];
  byId("health").textContent = "♥".repeat(health) + "♡".repeat(Math.max(0, 3 - health));
  byId("coins").textContent = state.coins.data[0];
  byId("keys").textContent = state.keys.data[0];
  if (state.done.data[0]) notice("You made it!");
  byId("sure").textContent = `${(100 * seen.confidence).toFixed(0)} %`;
}

function measure(now, spent) {
  times.push({ now, spent });
  while (times.length > 30) times.shift();
  const seconds = (now - times[0].now) / 1000;
  const sorted = times.map((each) => each.spent).sort((a, b) => a - b);
  byId("rate").textContent = seconds > 0 ? ((times.length - 1) / seconds).toFixed(1) : "–";
  byId("step").textContent = `${sorted[sorted.length >> 1].toFixed(1)} ms`;
}

async function run(model, draw, keys) {
  const pace = 1000 / model.world.about.fps;
  let due = performance.now();
  for (;;) {
    const start = performance.now();
    const seen = await model.step(keys.takeAction());
    draw(seen.frame);
    sounds.hear(seen);
    show(model.state, seen);
    byId("canvas").dataset.step = model.state.step.data[0];
    measure(start, performance.now() - start);
    due = Math.max(due + pace, performance.now() - pace); // a slow device falls behind, it does not catch up
    await new Promise((next) => setTimeout(next, Math.max(0, due - performance.now())));
  }
}

function introduce({ world: { about }, way }) {
  document.title = byId("title").textContent = about.title;
  byId("prompt").textContent = about.prompt;
  byId("way").textContent = way.provider === "webgpu" ? "WebGPU" : `WebAssembly, ${way.threads} thread(s)`;
  byId("note").textContent = way.note;
  notice("");
}

async function main() {
  const wish = Object.fromEntries(new URLSearchParams(location.search));
  if (wish.threads !== undefined) wish.threads = Math.max(1, Number(wish.threads) || 1);
  notice("Loading the model…");
  const model = await Model.load(new URL(".", location.href), wish);
  if (wish.seed !== undefined) model.restart(wish.seed);
  const draw = painter(byId("canvas"), model.world.about.frame_size);
  draw(model.world.arrays["first_frame"].data);
  sounds = new Sounds(model.world);
  introduce(model);
  const keys = new Keys(() => sounds.unlock());
  byId("again").addEventListener("click", () => {
    model.restart(model.seed);
    notice("");
    byId("canvas").focus();
  });
  document.documentElement.dataset.live = "yes";
  await run(model, draw, keys);
}

main().catch((error) => {
  notice(`The world cannot be played here: ${error.message}`);
  document.documentElement.dataset.live = "no";
  throw error;
});
