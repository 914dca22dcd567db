// The list of signs, characters and other things of a world in the making.

import { byId, first } from "./dom.js";
import { type Bundle, Medium } from "./media.js";
import type { Zone } from "./placing.js";

export type Kind = "sign" | "character" | "lever" | "door" | "portal";
type Where = { depth: "near" | "mid" | "far" } | { behind: "door" } | { near: "spawn" };

/** An object as a spec has it. */
export interface Thing {
  kind: Kind;
  text?: string;
  image?: string;
  says?: string;
  name?: string;
  effect?: string;
  where?: Where;
}

const WHERE: Record<Zone, Where> = {
  s: { near: "spawn" },
  n: { depth: "near" },
  m: { depth: "mid" },
  f: { depth: "far" },
  d: { behind: "door" },
};
const ADDED = "sign character lever door portal".split(" ") as Kind[];

function zoneOf(where: Where | undefined): Zone {
  const said = JSON.stringify(where ?? WHERE.m);
  return (Object.keys(WHERE) as Zone[]).find((zone) => JSON.stringify(WHERE[zone]) === said) ?? "m";
}

/** One row of the list. */
class Row {
  readonly element: HTMLElement;
  readonly image: Medium;
  readonly says: Medium;

  constructor(
    readonly kind: Kind,
    changed: () => void,
  ) {
    this.element = first("li", byId<HTMLTemplateElement>("thing").content.cloneNode(true) as DocumentFragment);
    for (const other of ADDED.filter((one) => one !== kind)) {
      for (const part of this.element.querySelectorAll(`.only-${other}`)) part.classList.add("unused");
    }
    for (const part of this.element.querySelectorAll<HTMLElement>(".unused")) part.hidden = true;
    this.image = new Medium(first("[data-of=image]", this.element), changed);
    this.says = new Medium(first("[data-of=says]", this.element), changed);
  }

  field<T extends HTMLInputElement | HTMLSelectElement>(name: string): T {
    return first<T>(`.${name}`, this.element);
  }

  fill(thing: Thing): void {
    this.field("text").value = thing.text ?? "";
    this.field("name").value = thing.name ?? "";
    this.field("effect").value = thing.effect ?? "open_door";
    this.field("where").value = zoneOf(thing.where);
    this.image.keep(thing.image ?? null);
    this.says.keep(thing.says ?? null);
  }

  /** As a spec has it; null while it lacks what it shows or says. */
  async thing(bundle: Bundle): Promise<Thing | null> {
    const where = WHERE[this.field("where").value as Zone];
    if (this.kind === "sign") return this.sign(bundle, where);
    if (this.kind === "lever") return { kind: "lever", effect: this.field("effect").value, where };
    if (this.kind !== "character") return { kind: this.kind, where };
    const [says, name] = [await bundle.name(this.says), this.field("name").value.trim()];
    return says === undefined ? null : { kind: "character", says, ...(name ? { name } : {}), where };
  }

  private async sign(bundle: Bundle, where: Where): Promise<Thing | null> {
    const text = this.field("text").value.trim();
    const image = text ? undefined : await bundle.name(this.image);
    if (text) return { kind: "sign", text, where };
    return image === undefined ? null : { kind: "sign", image, where };
  }
}

export class Things {
  private rows: Row[] = [];
  private chosen: Row | null = null;
  private readonly list = byId("things");

  /** changed() on every change that no input event tells; placing(number) when one is to be put on the map. */
  constructor(
    private readonly changed: () => void,
    private readonly placing: (number: number | null) => void,
  ) {
    for (const button of document.querySelectorAll<HTMLElement>("[data-add]")) {
      button.addEventListener("click", () => {
        const row = this.add(button.dataset.add as Kind);
        first("input, select", first(":scope > :not([hidden]):not(h3)", row.element)).focus();
        changed();
      });
    }
  }

  add(kind: Kind): Row {
    const row = new Row(kind, this.changed);
    first(".remove", row.element).addEventListener("click", () => this.remove(row));
    first(".place", row.element).addEventListener("click", () => this.choose(this.chosen === row ? null : row));
    this.rows.push(row);
    this.list.append(row.element);
    this.number();
    return row;
  }

  fill(things: readonly Thing[]): void {
    for (const thing of things) this.add(thing.kind).fill(thing);
  }

  /** The chosen thing goes to this part of the way. */
  put(zone: Zone): void {
    if (this.chosen === null) return;
    this.chosen.field("where").value = zone;
    this.choose(null);
    this.changed();
  }

  /** What there is, and the number in the list of each. */
  async all(bundle: Bundle): Promise<{ objects: Thing[]; numbers: number[] }> {
    const things = await Promise.all(this.rows.map((row) => row.thing(bundle)));
    const kept = things.flatMap((thing, index) => (thing === null ? [] : [{ thing, index }]));
    return { objects: kept.map((one) => one.thing), numbers: kept.map((one) => one.index) };
  }

  private choose(row: Row | null): void {
    this.chosen = row;
    for (const one of this.rows) first(".place", one.element).setAttribute("aria-pressed", String(one === row));
    this.placing(row === null ? null : this.rows.indexOf(row) + 1);
  }

  private remove(row: Row): void {
    if (this.chosen === row) this.choose(null);
    this.rows = this.rows.filter((one) => one !== row);
    row.element.remove();
    this.number();
    first(`[data-add=${row.kind}]`).focus();
    this.changed();
  }

  private number(): void {
    this.rows.forEach((row, index) => {
      first("h3", row.element).textContent = `${index + 1}: ${row.kind}`;
    });
  }
}
