// The cheap part of the guard on the device: is a frame one of the views that were flagged before?
//
// The hash is that of moderation/novelty.py, whose greys and means are rounded by OpenCV in ways that may
// differ here by one grey level: a few bits of 480.

import { bytesOf } from "./bundle.js";

const GRID = 16;
const STEP = 2; // grey levels: smaller differences between blocks are no edge

/** (60,) perceptual hash of a frame (3, size, size). */
export function differenceHash(frame: Uint8Array, size: number): Uint8Array {
  const grid = shrunk(frame, size);
  const bits: boolean[] = [];
  const at = (row: number, col: number) => grid[row * GRID + col] ?? 0;
  for (let row = 0; row < GRID; row += 1) {
    for (let col = 0; col + 1 < GRID; col += 1) bits.push(at(row, col + 1) - at(row, col) > STEP);
  }
  for (let row = 0; row + 1 < GRID; row += 1) {
    for (let col = 0; col < GRID; col += 1) bits.push(at(row + 1, col) - at(row, col) > STEP);
  }
  const packed = new Uint8Array(bits.length / 8);
  bits.forEach((bit, place) => {
    if (bit) packed[place >> 3] = (packed[place >> 3] ?? 0) | (0x80 >> (place & 7));
  });
  return packed;
}

/** Mean brightness of GRID x GRID blocks. */
function shrunk(frame: Uint8Array, size: number): Float32Array {
  const block = size / GRID;
  const area = size * size;
  const sums = new Float32Array(GRID * GRID);
  for (let y = 0; y < size; y += 1) {
    for (let x = 0; x < size; x += 1) {
      const place = y * size + x;
      const [red = 0, green = 0, blue = 0] = [frame[place], frame[area + place], frame[2 * area + place]];
      const cell = Math.floor(y / block) * GRID + Math.floor(x / block);
      sums[cell] = (sums[cell] ?? 0) + Math.round(0.299 * red + 0.587 * green + 0.114 * blue);
    }
  }
  return sums.map((sum) => Math.round(sum / (block * block)));
}

const ONES = Uint8Array.from({ length: 256 }, (_, byte) => byte.toString(2).replaceAll("0", "").length);

export class Watch {
  private readonly flagged: Uint8Array[];

  constructor(
    private readonly same: number,
    hashes: string[],
  ) {
    this.flagged = hashes.map(bytesOf);
  }

  get known(): number {
    return this.flagged.length;
  }

  /** Whether a frame (3, size, size) is a flagged view. */
  sees(frame: Uint8Array, size: number): boolean {
    if (this.flagged.length === 0) return false;
    const hashed = differenceHash(frame, size);
    return this.flagged.some((other) => this.apart(hashed, other) <= this.same);
  }

  private apart(one: Uint8Array, other: Uint8Array): number {
    let bits = 0;
    for (let at = 0; at < one.length && bits <= this.same; at += 1) bits += ONES[(one[at] ?? 0) ^ (other[at] ?? 0)] ?? 0;
    return bits;
  }
}
