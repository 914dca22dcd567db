// The play protocol on the browser's side; feedapi/wire.py says what each byte means.
import { BESIDE_FLAG, BESIDE_HEADER, DONE_FLAG, DRAWN_MESSAGE, FRAME_HEADER, KEYS_MESSAGE, KIND, REPORT_MESSAGE, VERSION, VIEW_MESSAGE, } from "./protocol.js";
export { CLOSE, KEY, VIEW } from "./protocol.js";
const GET = {
    Uint8: (view, offset) => view.getUint8(offset),
    Uint16: (view, offset) => view.getUint16(offset, true),
    Uint32: (view, offset) => view.getUint32(offset, true),
    Float32: (view, offset) => view.getFloat32(offset, true),
    Float64: (view, offset) => view.getFloat64(offset, true),
};
const SET = {
    Uint8: (view, offset, value) => view.setUint8(offset, value),
    Uint16: (view, offset, value) => view.setUint16(offset, value, true),
    Uint32: (view, offset, value) => view.setUint32(offset, value, true),
    Float32: (view, offset, value) => view.setFloat32(offset, value, true),
    Float64: (view, offset, value) => view.setFloat64(offset, value, true),
};
function read(view, layout) {
    const named = Object.entries(layout.fields).map(([name, [offset, type]]) => [name, GET[type](view, offset)]);
    return Object.fromEntries(named);
}
function packed(layout, values) {
    const view = new DataView(new ArrayBuffer(layout.size));
    for (const [name, [offset, type]] of Object.entries(layout.fields)) {
        SET[type](view, offset, values[name]);
    }
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
/** The message that reports what is on the canvas. */
export const reportMessage = () => packed(REPORT_MESSAGE, { kind: KIND.REPORT });
