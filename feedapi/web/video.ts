// Pictures of live play as something to draw: JPEG, or an H.264 stream where the server sends one.

/** As `VIDEO_CODEC` of feedapi/wire.py. */
const CODEC = "avc1.42C01E";
const CONFIG: VideoDecoderConfig = { codec: CODEC, optimizeForLatency: true };
const MICROSECONDS = 1_000_000 / 15;

/** One picture as it came. */
export interface Coded {
  tick: number;
  data: Uint8Array<ArrayBuffer>;
  /** It is of an H.264 stream, else a JPEG. */
  video: boolean;
  /** It needs no picture before it. */
  key: boolean;
}

export type Picture = ImageBitmap | VideoFrame;

interface Connection {
  saveData?: boolean;
  effectiveType?: string;
}

/** How this browser wants its pictures. JPEG is sharper; H.264 takes a sixth of the bytes, for who must save them. */
export async function wantedCodec(): Promise<"jpeg" | "h264"> {
  const asked = new URLSearchParams(location.search).get("video");
  const connection = (navigator as Navigator & { connection?: Connection }).connection;
  const slow = connection?.saveData === true || /2g|3g/.test(connection?.effectiveType ?? "");
  if (asked === "jpeg" || (asked !== "h264" && !slow) || typeof VideoDecoder === "undefined") return "jpeg";
  const { supported } = await VideoDecoder.isConfigSupported(CONFIG).catch(() => ({ supported: false }));
  return supported === true ? "h264" : "jpeg";
}

export class Pictures {
  private decoder: VideoDecoder | null = null;
  private readonly waiting = new Map<number, (picture: Picture | null) => void>();

  /** `lost` is called when the stream cannot be decoded from here on, until a picture that stands alone comes. */
  constructor(private readonly lost: () => void) {}

  /** What to draw; null where the picture cannot be decoded. The caller closes it. */
  decode(coded: Coded): Promise<Picture | null> {
    if (!coded.video) return createImageBitmap(new Blob([coded.data], { type: "image/jpeg" }));
    if (this.decoder === null && !coded.key) return Promise.resolve(null);
    this.decoder ??= this.opened();
    const timestamp = Math.round(coded.tick * MICROSECONDS);
    return new Promise((resolve) => {
      this.waiting.set(timestamp, resolve);
      const type = coded.key ? "key" : "delta";
      this.decoder?.decode(new EncodedVideoChunk({ type, timestamp, data: coded.data }));
    });
  }

  close(): void {
    if (this.decoder?.state !== "closed") this.decoder?.close();
    this.decoder = null;
    for (const resolve of this.waiting.values()) resolve(null);
    this.waiting.clear();
  }

  private opened(): VideoDecoder {
    const decoder = new VideoDecoder({
      output: (picture) => this.decoded(picture),
      error: () => {
        this.close();
        this.lost();
      },
    });
    decoder.configure(CONFIG);
    return decoder;
  }

  private decoded(picture: VideoFrame): void {
    const resolve = this.waiting.get(picture.timestamp);
    this.waiting.delete(picture.timestamp);
    if (resolve === undefined) picture.close();
    else resolve(picture);
  }
}
