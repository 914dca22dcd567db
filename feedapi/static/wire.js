// The play protocol on the browser's side; feedapi/wire.py says what each byte means.

export const KEY = { LEFT: 1, RIGHT: 2, UP: 4, DOWN: 8, INTERACT: 16 };
export const VIEW = { BESIDE: 1, LINE_UP: 2 };
export const VERSION = 2;
const HEADER = 48;
const BESIDE_HEADER = 28;
const DONE = 1;
const BESIDE = 2;

/** A frame message taken apart. Throws on anything else. */
export function parseFrame(buffer) {
  const view = new DataView(buffer);
  if (view.byteLength < HEADER || view.getUint8(0) !== VERSION) throw new Error("not a frame of this protocol");
  const sound = HEADER + view.getUint32(40, true);
  const end = sound + view.getUint32(44, true);
  const flags = view.getUint8(1);
  return {
    done: (flags & DONE) !== 0,
    events: view.getUint16(2, true),
    tick: view.getUint32(4, true),
    echo: view.getFloat64(8, true),
    waitedMs: view.getFloat32(16, true),
    stepMs: view.getFloat32(20, true),
    encodeMs: view.getFloat32(24, true),
    health: view.getUint8(28),
    keys: view.getUint8(29),
    coins: view.getUint16(30, true),
    score: view.getUint32(32, true),
    step: view.getUint32(36, true),
    jpeg: new Uint8Array(buffer, HEADER, sound - HEADER),
    // copied: samples must start at an even byte
    sound: new Int16Array(buffer.slice(sound, end)),
    beside: (flags & BESIDE) === 0 ? null : parseBeside(buffer, end),
  };
}

function parseBeside(buffer, start) {
  const view = new DataView(buffer, start);
  const difference = BESIDE_HEADER + view.getUint32(20, true);
  return {
    psnr: view.getFloat32(0, true),
    apart: view.getFloat32(4, true),
    agreed: view.getUint32(8, true),
    steps: view.getUint32(12, true),
    events: view.getUint16(16, true),
    jpeg: new Uint8Array(buffer, start + BESIDE_HEADER, difference - BESIDE_HEADER),
    difference: new Uint8Array(buffer, start + difference, view.getUint32(24, true)),
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

/** The message that says what to show beside the frame. */
export function viewMessage(view) {
  return new Uint8Array([3, view]).buffer;
}
