// The list of signs, characters and other things of a world in the making.
import { byId, first } from "./dom.js";
import { Medium } from "./media.js";
const WHERE = {
    s: { near: "spawn" },
    n: { depth: "near" },
    m: { depth: "mid" },
    f: { depth: "far" },
    d: { behind: "door" },
};
const ADDED = "sign character lever door portal".split(" ");
function zoneOf(where) {
    const said = JSON.stringify(where ?? WHERE.m);
    return Object.keys(WHERE).find((zone) => JSON.stringify(WHERE[zone]) === said) ?? "m";
}
/** One row of the list. */
class Row {
    kind;
    element;
    image;
    says;
    constructor(kind, changed) {
        this.kind = kind;
        this.element = first("li", byId("thing").content.cloneNode(true));
        for (const other of ADDED.filter((one) => one !== kind)) {
            for (const part of this.element.querySelectorAll(`.only-${other}`))
                part.classList.add("unused");
        }
        for (const part of this.element.querySelectorAll(".unused"))
            part.hidden = true;
        this.image = new Medium(first("[data-of=image]", this.element), changed);
        this.says = new Medium(first("[data-of=says]", this.element), changed);
    }
    field(name) {
        return first(`.${name}`, this.element);
    }
    fill(thing) {
        this.field("text").value = thing.text ?? "";
        this.field("name").value = thing.name ?? "";
        this.field("effect").value = thing.effect ?? "open_door";
        this.field("where").value = zoneOf(thing.where);
        this.image.keep(thing.image ?? null);
        this.says.keep(thing.says ?? null);
    }
    /** As a spec has it; null while it lacks what it shows or says. */
    async thing(bundle) {
        const where = WHERE[this.field("where").value];
        if (this.kind === "sign")
            return this.sign(bundle, where);
        if (this.kind === "lever")
            return { kind: "lever", effect: this.field("effect").value, where };
        if (this.kind !== "character")
            return { kind: this.kind, where };
        const [says, name] = [await bundle.name(this.says), this.field("name").value.trim()];
        return says === undefined ? null : { kind: "character", says, ...(name ? { name } : {}), where };
    }
    async sign(bundle, where) {
        const text = this.field("text").value.trim();
        const image = text ? undefined : await bundle.name(this.image);
        if (text)
            return { kind: "sign", text, where };
        return image === undefined ? null : { kind: "sign", image, where };
    }
}
export class Things {
    changed;
    placing;
    rows = [];
    chosen = null;
    list = byId("things");
    /** changed() on every change that no input event tells; placing(number) when one is to be put on the map. */
    constructor(changed, placing) {
        this.changed = changed;
        this.placing = placing;
        for (const button of document.querySelectorAll("[data-add]")) {
            button.addEventListener("click", () => {
                const row = this.add(button.dataset.add);
                first("input, select", first(":scope > :not([hidden]):not(h3)", row.element)).focus();
                changed();
            });
        }
    }
    add(kind) {
        const row = new Row(kind, this.changed);
        first(".remove", row.element).addEventListener("click", () => this.remove(row));
        first(".place", row.element).addEventListener("click", () => this.choose(this.chosen === row ? null : row));
        this.rows.push(row);
        this.list.append(row.element);
        this.number();
        return row;
    }
    fill(things) {
        for (const thing of things)
            this.add(thing.kind).fill(thing);
    }
    /** The chosen thing goes to this part of the way. */
    put(zone) {
        if (this.chosen === null)
            return;
        this.chosen.field("where").value = zone;
        this.choose(null);
        this.changed();
    }
    /** What there is, and the number in the list of each. */
    async all(bundle) {
        const things = await Promise.all(this.rows.map((row) => row.thing(bundle)));
        const kept = things.flatMap((thing, index) => (thing === null ? [] : [{ thing, index }]));
        return { objects: kept.map((one) => one.thing), numbers: kept.map((one) => one.index) };
    }
    choose(row) {
        this.chosen = row;
        for (const one of this.rows)
            first(".place", one.element).setAttribute("aria-pressed", String(one === row));
        this.placing(row === null ? null : this.rows.indexOf(row) + 1);
    }
    remove(row) {
        if (this.chosen === row)
            this.choose(null);
        this.rows = this.rows.filter((one) => one !== row);
        row.element.remove();
        this.number();
        first(`[data-add=${row.kind}]`).focus();
        this.changed();
    }
    number() {
        this.rows.forEach((row, index) => {
            first("h3", row.element).textContent = `${index + 1}: ${row.kind}`;
        });
    }
}
