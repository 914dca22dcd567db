// The play protocol on the browser's side; feedapi/wire.py says what each byte means.

export const KEY = { LEFT: 1, RIGHT: 2, UP: 4, DOWN: 8, INTERACT: 16 };
export const VERSION = 1;
const HEADER = 40;
const DONE = 1;

/** A frame message taken apart. Throws on anything else. */
export function parseFrame(buffer) {
  const view = new DataView(buffer);
  if (view.byteLength < HEADER || view.getUint8(0) !== VERSION) throw new Error("not a frame of this protocol");
  const jpegSize = view.getUint32(32, true);
  const soundSize = view.getUint32(36, true);
  return {
    done: (view.getUint8(1) & DONE) !== 0,
    events: view.getUint16(2, true),
    tick: view.getUint32(4, true),
    echo: view.getFloat64(8, true),
    waitedMs: view.getFloat32(16, true),
    stepMs: view.getFloat32(20, true),
    encodeMs: view.getFloat32(24, true),
    health: view.getUint8(28),
    keys: view.getUint8(29),
    coins: view.getUint16(30, true),
    jpeg: new Uint8Array(buffer, HEADER, jpegSize),
    // copied: samples must start at an even byte
    sound: new Int16Array(buffer.slice(HEADER + jpegSize, HEADER + jpegSize + soundSize)),
  };
}

/** The message that says which keys are held. */
export function keysMessage(held, now) {
  const view = new DataView(new ArrayBuffer(10));
  view.setUint8(0, 1);
  view.setUint8(1, held);
  view.setFloat64(2, now, true);
  return view.buffer;
}

/** The message that says which frame is on the canvas. */
export function drawnMessage(tick) {
  const view = new DataView(new ArrayBuffer(5));
  view.setUint8(0, 2);
  view.setUint32(1, tick, true);
  return view.buffer;
}
