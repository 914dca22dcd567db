// The play protocol on the browser's side; feedapi/wire.py says what each byte means.

import {
  BESIDE_FLAG, BESIDE_HEADER, DONE_FLAG, DRAWN_MESSAGE, FRAME_HEADER, KEYS_MESSAGE, KIND, REPORT_MESSAGE, VERSION,
  VIEW_MESSAGE,
} from "./protocol.js";

export { CLOSE, KEY, VIEW } from "./protocol.js";

type Type = "Uint8" | "Uint16" | "Uint32" | "Float32" | "Float64";
interface Layout {
  readonly size: number;
  readonly fields: Readonly<Record<string, readonly [number, Type]>>;
}
type Numbers<L extends Layout> = Record<keyof L["fields"], number>;

export interface Beside extends Numbers<typeof BESIDE_HEADER> {
  jpeg: Uint8Array<ArrayBuffer>;
  difference: Uint8Array<ArrayBuffer>;
}

export interface Frame extends Numbers<typeof FRAME_HEADER> {
  done: boolean;
  jpeg: Uint8Array<ArrayBuffer>;
  sound: Int16Array<ArrayBuffer>;
  beside: Beside | null;
}

const GET: Record<Type, (view: DataView, offset: number) => number> = {
  Uint8: (view, offset) => view.getUint8(offset),
  Uint16: (view, offset) => view.getUint16(offset, true),
  Uint32: (view, offset) => view.getUint32(offset, true),
  Float32: (view, offset) => view.getFloat32(offset, true),
  Float64: (view, offset) => view.getFloat64(offset, true),
};

const SET: Record<Type, (view: DataView, offset: number, value: number) => void> = {
  Uint8: (view, offset, value) => view.setUint8(offset, value),
  Uint16: (view, offset, value) => view.setUint16(offset, value, true),
  Uint32: (view, offset, value) => view.setUint32(offset, value, true),
  Float32: (view, offset, value) => view.setFloat32(offset, value, true),
  Float64: (view, offset, value) => view.setFloat64(offset, value, true),
};

function read<L extends Layout>(view: DataView, layout: L): Numbers<L> {
  const named = Object.entries(layout.fields).map(([name, [offset, type]]) => [name, GET[type](view, offset)]);
  return Object.fromEntries(named) as Numbers<L>;
}

function packed<L extends Layout>(layout: L, values: Numbers<L>): ArrayBuffer {
  const view = new DataView(new ArrayBuffer(layout.size));
  for (const [name, [offset, type]] of Object.entries(layout.fields)) {
    SET[type](view, offset, values[name as keyof L["fields"]]);
  }
  return view.buffer as ArrayBuffer;
}

/** A frame message taken apart. Throws on anything else. */
export function parseFrame(buffer: ArrayBuffer): Frame {
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

function parseBeside(buffer: ArrayBuffer, start: number): Beside {
  const head = read(new DataView(buffer, start), BESIDE_HEADER);
  const jpeg = start + BESIDE_HEADER.size;
  return {
    ...head,
    jpeg: new Uint8Array(buffer, jpeg, head.jpegSize),
    difference: new Uint8Array(buffer, jpeg + head.jpegSize, head.differenceSize),
  };
}

/** The message that says which keys are held. */
export const keysMessage = (held: number, at: number) => packed(KEYS_MESSAGE, { kind: KIND.KEYS, held, at });

/** The message that says which frame is on the canvas. */
export const drawnMessage = (tick: number) => packed(DRAWN_MESSAGE, { kind: KIND.DRAWN, tick });

/** The message that says what to show beside the frame. */
export const viewMessage = (view: number) => packed(VIEW_MESSAGE, { kind: KIND.VIEW, view });

/** The message that reports what is on the canvas. */
export const reportMessage = () => packed(REPORT_MESSAGE, { kind: KIND.REPORT });
