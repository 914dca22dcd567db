// Made from feedapi/wire.py by `python -m feedapi.wire_ts`; change it there.

export const VERSION = 2;
export const DONE_FLAG = 1;
export const BESIDE_FLAG = 2;
export const LAST_TICK = 4294967295;
export const WINDOW = 3;
export const KEY = { LEFT: 1, RIGHT: 2, UP: 4, DOWN: 8, INTERACT: 16 } as const;
export const VIEW = { BESIDE: 1, LINE_UP: 2 } as const;
export const KIND = { KEYS: 1, DRAWN: 2, VIEW: 3, REPORT: 4 } as const;
export const CLOSE = { INTERNAL_ERROR: 1011, TRY_AGAIN_LATER: 1013, BAD_MESSAGE: 4400, BAD_TICKET: 4401, GUARDED: 4403, NOT_PUBLISHED: 4404, UNGUARDED: 4503 } as const;
export const FRAME_HEADER = {
  size: 48,
  fields: {
    version: [0, "Uint8"],
    flags: [1, "Uint8"],
    events: [2, "Uint16"],
    tick: [4, "Uint32"],
    echo: [8, "Float64"],
    waitedMs: [16, "Float32"],
    stepMs: [20, "Float32"],
    encodeMs: [24, "Float32"],
    health: [28, "Uint8"],
    keys: [29, "Uint8"],
    coins: [30, "Uint16"],
    score: [32, "Uint32"],
    step: [36, "Uint32"],
    jpegSize: [40, "Uint32"],
    soundSize: [44, "Uint32"],
  },
} as const;
export const BESIDE_HEADER = {
  size: 28,
  fields: {
    psnr: [0, "Float32"],
    apart: [4, "Float32"],
    agreed: [8, "Uint32"],
    steps: [12, "Uint32"],
    events: [16, "Uint16"],
    jpegSize: [20, "Uint32"],
    differenceSize: [24, "Uint32"],
  },
} as const;
export const KEYS_MESSAGE = {
  size: 10,
  fields: {
    kind: [0, "Uint8"],
    held: [1, "Uint8"],
    at: [2, "Float64"],
  },
} as const;
export const DRAWN_MESSAGE = {
  size: 5,
  fields: {
    kind: [0, "Uint8"],
    tick: [1, "Uint32"],
  },
} as const;
export const VIEW_MESSAGE = {
  size: 2,
  fields: {
    kind: [0, "Uint8"],
    view: [1, "Uint8"],
  },
} as const;
export const REPORT_MESSAGE = {
  size: 1,
  fields: {
    kind: [0, "Uint8"],
  },
} as const;
