// The little map of a world in the making: where things stand, and putting them elsewhere by a click.

import { byId, first } from "./dom.js";

/** Letters of the parts of the way: at the start, early, half way, far, behind a door. */
export type Zone = "s" | "n" | "m" | "f" | "d";

export interface Placed {
  index: number;
  kind: string;
  box: [number, number, number, number];
}

export interface Zones {
  columns: number;
  rows: string[];
  start: [number, number];
}

const SVG = "http://www.w3.org/2000/svg";
const NAMES: Record<Zone, string> = { s: "at the start", n: "early", m: "half way", f: "far", d: "behind a door" };

function drawn(name: string, attributes: Record<string, string | number>, text = ""): SVGElement {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
  made.textContent = text;
  return made;
}

export class LittleMap {
  private zones: Zones | null = null;
  private readonly svg = first<SVGSVGElement>("#map");
  private readonly usual = byId("maphint").textContent;

  /** taken(zone) is called with the part that was clicked while something was being placed. */
  constructor(private readonly taken: (zone: Zone) => void) {
    this.svg.addEventListener("click", (event) => {
      const zone = this.svg.classList.contains("placing") ? this.at(event.clientX, event.clientY) : null;
      if (zone) this.taken(zone);
    });
  }

  show(picture: string, placed: Placed[], zones: Zones): void {
    this.zones = zones;
    first("image", this.svg).setAttribute("href", picture);
    this.svg.toggleAttribute("hidden", false);
    byId("waiting").hidden = true;
    first(".zones", this.svg).replaceChildren(...this.bands(zones));
    const [x, y] = zones.start;
    const begin = drawn("text", { x: x + 0.5, y: y + 0.5, class: "begin" }, "◆");
    first(".pins", this.svg).replaceChildren(begin, ...placed.map(pin));
  }

  /** Let the next clicks choose a part of the way for a thing; null ends that. */
  placing(number: number | null): void {
    this.svg.classList.toggle("placing", number !== null);
    if (number !== null) this.svg.scrollIntoView({ block: "nearest" });
    byId("maphint").textContent =
      number === null ? this.usual : `Click where number ${number} shall stand: it goes to a free place about there.`;
  }

  private at(clientX: number, clientY: number): Zone | null {
    const box = this.svg.getBoundingClientRect();
    const rows = this.zones?.rows ?? [];
    const column = Math.floor(((clientX - box.left) / box.width) * (this.zones?.columns ?? 0));
    const row = Math.floor(((clientY - box.top) / box.height) * rows.length);
    return (rows[row]?.[column] as Zone | undefined) ?? null;
  }

  /** Runs of one part in each row. */
  private bands(zones: Zones): SVGElement[] {
    return zones.rows.flatMap((row, y) =>
      [...row.matchAll(/(.)\1*/g)].map((run) => {
        const zone = run[1] as Zone;
        const band = drawn("rect", { x: run.index, y, width: run[0].length, height: 1.02, class: `zone-${zone}` });
        band.append(drawn("title", {}, NAMES[zone]));
        return band;
      }),
    );
  }
}

function pin({ index, kind, box: [x0, y0, x1, y1] }: Placed): SVGElement {
  const [x, y] = [(x0 + x1) / 2, (y0 + y1) / 2];
  const group = drawn("g", { class: `pin ${kind}` });
  const label = drawn("text", { x, y }, String(index + 1));
  group.append(drawn("circle", { cx: x, cy: y, r: 1.3 }), label, drawn("title", {}, `${index + 1}: ${kind}`));
  return group;
}
