// What worldmodel/static/player offers, as device.ts uses it: the modules are loaded once a world is played here.

import type { About } from "./bundle.js";

export interface World {
  about: About;
}

/** What one step shows. */
export interface Seen {
  frame: Uint8Array;
  /** One per event: whether it happened. */
  events: Uint8Array;
  /** Which voice began; -1: none. */
  clip: number;
}

export interface Model {
  world: World;
  way: { provider: string; threads: number };
  state: Record<string, { data: ArrayLike<number | bigint> }>;
  step(action: number): Promise<Seen>;
  restart(seed: string | bigint): void;
}

export interface Sounds {
  unlock(): void;
  hear(seen: Seen): void;
  setMuted(muted: boolean): void;
}

export interface Player {
  Model: {
    open(
      world: World,
      sources: { library: string; graph: Uint8Array },
      wish: { ep: string; threads: number },
    ): Promise<Model>;
  };
  Sounds: new (world: World) => Sounds;
  worldOf(about: About, bytes: ArrayBuffer): World;
  actionOf(keys: Set<string>): number;
}
