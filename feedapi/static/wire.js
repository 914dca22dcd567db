// The play protocol on the browser's side; feedapi/wire.py says what each byte means.

import {
  BESIDE_FLAG, BESIDE_HEADER, DONE_FLAG, DRAWN_MESSAGE, FRAME_HEADER, KEY_FRAME_MESSAGE, KEYS_MESSAGE, KIND,
  REPORT_MESSAGE, VERSION, VIEW_MESSAGE,
} from "./protocol.js";

export { CLOSE, KEY, VIEW } from "./protocol.js";

function read(view, layout) {
  const read = ([name, [offset, type]]) => [name, view[`get${type}`](offset, true)];
  return Object.fromEntries(Object.entries(layout.fields).map(read));
}

function packed(layout, values) {
  const view = new DataView(new ArrayBuffer(layout.size));
  for (const [name, [offset, type]] of Object.entries(layout.fields)) view[`set${type}`](offset, values[name], true);
  return view.buffer;
}

/** A frame message taken apart. Throws on anything else. */
export function parseFrame(buffer) {
  const view = new DataView(buffer);
  if (view.byteLength < FRAME_HEADER.size || view.getUint8(0) !== VERSION) {
    throw new Error("not a frame of this protocol");
  }
  const head = read(view, FRAME_HEADER);
  const sound = FRAME_HEADER.size + head.jpegSize;
  const end = sound + head.soundSize;
  return {
    ...head,
    done: (head.flags & DONE_FLAG) !== 0,
    jpeg: new Uint8Array(buffer, FRAME_HEADER.size, head.jpegSize),
    // copied: samples must start at an even byte
    sound: new Int16Array(buffer.slice(sound, end)),
    beside: (head.flags & BESIDE_FLAG) === 0 ? null : parseBeside(buffer, end),
  };
}

function parseBeside(buffer, start) {
  const head = read(new DataView(buffer, start), BESIDE_HEADER);
  const jpeg = start + BESIDE_HEADER.size;
  return {
    ...head,
    jpeg: new Uint8Array(buffer, jpeg, head.jpegSize),
    difference: new Uint8Array(buffer, jpeg + head.jpegSize, head.differenceSize),
  };
}

/** The message that says which keys are held. */
export const keysMessage = (held, at) => packed(KEYS_MESSAGE, { kind: KIND.KEYS, held, at });

/** The message that says which frame is on the canvas. */
export const drawnMessage = (tick) => packed(DRAWN_MESSAGE, { kind: KIND.DRAWN, tick });

/** The message that says what to show beside the frame. */
export const viewMessage = (view) => packed(VIEW_MESSAGE, { kind: KIND.VIEW, view });

/** The message that asks for a picture that can be decoded alone. */
export const keyFrameMessage = () => packed(KEY_FRAME_MESSAGE, { kind: KIND.KEY_FRAME });

/** The message that reports what is on the canvas. */
export const reportMessage = () => packed(REPORT_MESSAGE, { kind: KIND.REPORT });
