// The world's sounds: music in a loop, voices and effects when a step says so.

export class Sounds {
  constructor(world) {
    this.world = world;
    this.context = null;
    this.muted = false;
  }

  setMuted(muted) {
    this.muted = muted;
    if (this.context !== null) this.out.gain.value = muted ? 0 : 1;
  }

  /** Browsers allow sound only after the player's first key or touch. */
  unlock() {
    if (this.context !== null) return;
    this.context = new AudioContext();
    this.out = this.context.createGain();
    this.out.connect(this.context.destination);
    this.setMuted(this.muted);
    const music = this.source("sound/music");
    if (music === null) return;
    const quiet = this.context.createGain();
    quiet.gain.value = this.world.about.music_level;
    quiet.connect(this.out);
    Object.assign(music, { loop: true }).connect(quiet);
    music.start();
  }

  source(name) {
    const samples = this.world.arrays[name]?.data;
    if (samples === undefined || samples.length === 0) return null;
    const buffer = this.context.createBuffer(1, samples.length, this.world.about.sample_rate);
    buffer.copyToChannel(Float32Array.from(samples, (x) => x / 32768), 0);
    return Object.assign(this.context.createBufferSource(), { buffer });
  }

  play(name) {
    const source = this.source(name);
    if (source === null) return;
    source.connect(this.out);
    source.start();
  }

  hear({ events, clip }) {
    if (this.context === null) return;
    if (clip >= 0) this.play(`sound/clip${clip}`);
    events.forEach((happened, event) => happened && this.play(`sound/effect${event}`));
  }
}
