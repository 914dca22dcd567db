// Sound on the clock of the frames: each tick brings its samples, played one after the other without a gap.

const LEAD = 0.08; // seconds between arrival and play, enough for the jitter of a local network
const TOO_FAR = 0.4; // a backlog longer than this is dropped, so that sound never lags behind the picture

export class Speaker {
  muted = false;
  private context: AudioContext | null = null;
  private gain: GainNode | null = null;
  private next = 0;

  constructor(
    private readonly sampleRate: number,
    private readonly samplesPerTick: number,
  ) {}

  /** Browsers allow sound only after the player's first key or touch. */
  unlock(): void {
    if (this.context === null) {
      this.context = new AudioContext({ sampleRate: this.sampleRate });
      this.gain = this.context.createGain();
      this.gain.connect(this.context.destination);
      this.setMuted(this.muted);
    }
    if (this.context.state === "suspended") void this.context.resume();
  }

  setMuted(muted: boolean): void {
    this.muted = muted;
    if (this.gain) this.gain.gain.value = muted ? 0 : 1;
  }

  /** Play the samples (int16) of one tick or several; none means a tick of silence, which still takes its time. */
  push(samples: Int16Array): void {
    if (this.context === null || this.gain === null || this.context.state !== "running") return;
    const now = this.context.currentTime;
    if (this.next < now) this.next = now + LEAD;
    if (this.next > now + TOO_FAR) return;
    if (samples.length > 0) this.schedule(this.context, this.gain, samples);
    this.next += Math.max(samples.length, this.samplesPerTick) / this.sampleRate;
  }

  private schedule(context: AudioContext, gain: GainNode, samples: Int16Array): void {
    const buffer = context.createBuffer(1, samples.length, this.sampleRate);
    buffer.copyToChannel(Float32Array.from(samples, (sample) => sample / 32768), 0);
    const source = context.createBufferSource();
    source.buffer = buffer;
    source.connect(gain);
    source.start(this.next);
  }
}

/** The button that switches the sound off and on. */
export function muteButton(button: HTMLElement, speaker: Speaker): void {
  button.addEventListener("click", () => {
    speaker.setMuted(!speaker.muted);
    button.setAttribute("aria-pressed", String(speaker.muted));
    button.textContent = speaker.muted ? "Sound off" : "Sound on";
  });
}
