// The world model on this device: one graph that takes a state and an action to the next state and a frame.

import { dice } from "./noise.js";

const ARRAYS = { uint8: Uint8Array, bool: Uint8Array, int16: Int16Array, int32: Int32Array, int64: BigInt64Array };
const MAX_THREADS = 4;

/** The ways to run the graph that this browser offers, for what was wished for: {library, provider, threads, note}. */
export function plan(wish = {}) {
  const possible = globalThis.crossOriginIsolated ? Math.min(MAX_THREADS, navigator.hardwareConcurrency) : 1;
  const wanted = wish.threads ?? 1; // more threads are no faster: the graph is many small operations
  const threads = Math.min(wanted, possible);
  const alone = wanted > 1 && !globalThis.crossOriginIsolated;
  const wasm = {
    library: "ort.wasm.min.mjs",
    provider: "wasm",
    threads,
    note: alone ? "One thread only: this page was served without COOP and COEP headers." : "",
  };
  if (wish.ep !== "webgpu") return [wasm];
  const missed = { ...wasm, note: "WebGPU is not to be had here: playing on WebAssembly." };
  return navigator.gpu ? [{ library: "ort.webgpu.min.mjs", provider: "webgpu", threads, note: "" }, missed] : [missed];
}

/** A world and its tensors, from world.json and world.bin. */
export async function readWorld(base) {
  const [about, bytes] = await Promise.all([
    fetch(new URL("world.json", base)).then((answer) => answer.json()),
    fetch(new URL("world.bin", base)).then((answer) => answer.arrayBuffer()),
  ]);
  return worldOf(about, bytes);
}

/** The same from what is here already. */
export function worldOf(about, bytes) {
  const arrays = {};
  for (const { name, type, shape, offset, count } of about.arrays) {
    arrays[name] = { type, shape, data: new ARRAYS[type](bytes, offset, count) };
  }
  return { about, arrays };
}

export class Model {
  constructor(ort, session, world, way) {
    Object.assign(this, { ort, session, world, way });
    this.fixed = this.tensors("world/");
    this.restart(world.about.seed);
  }

  /** Load from the folder at ``base``; ``wish`` may name ep ("wasm", "webgpu"), threads and the graph's file. */
  static async load(base, wish = {}) {
    const world = await readWorld(base);
    const graph = new URL(wish.graph ?? world.about.graph, base).href;
    return Model.open(world, { library: new URL("ort/", base).href, graph }, wish);
  }

  /** The same for a world that is here already: the library's folder, and the graph's address or its bytes. */
  static async open(world, { library, graph }, wish = {}) {
    let failure;
    for (const way of plan(wish)) {
      try {
        const ort = await import(new URL(way.library, library));
        ort.env.wasm.wasmPaths = library;
        ort.env.wasm.numThreads = way.threads;
        const session = await ort.InferenceSession.create(graph, { executionProviders: [way.provider] });
        const model = new Model(ort, session, world, way);
        await model.step(0); // a graph that loads may still fail when it runs
        model.restart(world.about.seed);
        return model;
      } catch (error) {
        failure = error;
        console.warn(`${way.provider}: ${error}`);
      }
    }
    throw failure;
  }

  tensors(prefix) {
    const { arrays } = this.world;
    const names = Object.keys(arrays).filter((name) => name.startsWith(prefix));
    return Object.fromEntries(
      names.map((name) => {
        const { type, data, shape } = arrays[name];
        return [name.slice(prefix.length), new this.ort.Tensor(type, data, shape)];
      }),
    );
  }

  /** Back to the start, with the dice of this seed. */
  restart(seed) {
    this.seed = BigInt(seed);
    this.state = this.tensors("state/");
  }

  /** One step on: {frame: Uint8Array (3, size, size), events, clip, confidence}. */
  async step(action) {
    const { Tensor } = this.ort;
    const before = this.state;
    const slots = this.world.about.slots;
    const rolled = dice(this.seed, before.step.data[0], slots);
    const out = await this.session.run({
      ...this.fixed,
      ...before,
      action: new Tensor("int64", BigInt64Array.of(BigInt(action)), [1]),
      dice: new Tensor("int64", rolled, [1, slots]),
    });
    const names = Object.keys(before);
    const after = Object.fromEntries(names.map((name) => [name, out[`next_${name}`]]));
    if (this.state === before) this.state = after; // else it was restarted meanwhile
    return {
      frame: out.frame.data,
      events: out.events.data,
      clip: Number(out.clip.data[0]),
      confidence: out.confidence.data[0],
    };
  }
}
