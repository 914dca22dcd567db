// Sound on the clock of the frames: each tick brings its samples, played one after the other without a gap.

const LEAD = 0.08; // seconds between arrival and play, enough for the jitter of a local network
const TOO_FAR = 0.4; // a backlog longer than this is dropped, so that sound never lags behind the picture

export class Speaker {
  constructor(sampleRate, samplesPerTick) {
    this.sampleRate = sampleRate;
    this.samplesPerTick = samplesPerTick;
    this.muted = false;
    this.context = null;
    this.next = 0;
  }

  /** Browsers allow sound only after the player's first key or touch. */
  unlock() {
    if (this.context === null) {
      this.context = new AudioContext({ sampleRate: this.sampleRate });
      this.gain = this.context.createGain();
      this.gain.connect(this.context.destination);
      this.setMuted(this.muted);
    }
    if (this.context.state === "suspended") this.context.resume();
  }

  setMuted(muted) {
    this.muted = muted;
    if (this.gain) this.gain.gain.value = muted ? 0 : 1;
  }

  /** Play the samples (int16) of one tick or several; none means a tick of silence, which still takes its time. */
  push(samples) {
    if (this.context === null || this.context.state !== "running") return;
    const now = this.context.currentTime;
    if (this.next < now) this.next = now + LEAD;
    if (this.next > now + TOO_FAR) return;
    if (samples.length > 0) this.schedule(samples);
    this.next += Math.max(samples.length, this.samplesPerTick) / this.sampleRate;
  }

  schedule(samples) {
    const buffer = this.context.createBuffer(1, samples.length, this.sampleRate);
    const channel = buffer.getChannelData(0);
    for (let i = 0; i < samples.length; i += 1) channel[i] = samples[i] / 32768;
    const source = this.context.createBufferSource();
    source.buffer = buffer;
    source.connect(this.gain);
    source.start(this.next);
  }
}
