// Makes a world: the form becomes a spec, the server says what it comes to and plays it, and it is sent to the bots.
import { ask, fault } from "./asking.js";
import { byId, first } from "./dom.js";
import { LivingPreview } from "./living.js";
import { Bundle, Medium } from "./media.js";
import { LittleMap } from "./placing.js";
import { Things } from "./things.js";
const QUIET = 450; // ms without a key before the world is made again
const ORIGINS = { spec: "set by hand", prompt: "from the prompt", guess: "guessed", theme: "goes with its look", usual: "as usual" };
const form = byId("create");
const field = (name) => form.elements.namedItem(name);
const sliders = [...form.querySelectorAll(".slider")];
const fields = [...form.querySelectorAll("[data-field]")];
const media = new Map([...form.querySelectorAll("[data-slot]")].map((element) => [element.dataset.slot ?? "", new Medium(element, soon)]));
const things = new Things(soon, (number) => map.placing(number));
const map = new LittleMap((zone) => things.put(zone));
const living = new LivingPreview(() => void look());
let known = {};
let parent = form.dataset.remix; // the address of the world that this one is made from
let timer = 0;
let newest = 0;
// The form as a spec, and a spec as the form
function put(spec, path, value) {
    const names = path.split(".");
    const last = names.pop() ?? "";
    let part = spec;
    for (const name of names)
        part = (part[name] ??= {});
    part[last] = value;
}
function get(spec, path) {
    return path.split(".").reduce((part, name) => part?.[name], spec);
}
const pathOf = (slider) => `${slider.dataset.group}.${slider.dataset.name}`;
function valueOf(input) {
    if (input.value === "")
        return undefined;
    return input instanceof HTMLSelectElement ? JSON.parse(input.value) : Number(input.value);
}
async function world() {
    const bundle = new Bundle(known);
    const spec = { title: field("title").value.trim() || "Untitled", prompt: field("prompt").value.trim() };
    for (const slider of sliders) {
        if (slider.dataset.set)
            put(spec, pathOf(slider), Number(first("input", slider).value));
    }
    for (const input of fields) {
        const value = valueOf(input);
        if (value !== undefined)
            put(spec, input.dataset.field ?? "", value);
    }
    for (const [slot, medium] of media) {
        const name = await bundle.name(medium);
        if (name !== undefined)
            put(spec, slot, name);
    }
    const { objects, numbers } = await things.all(bundle);
    if (objects.length > 0)
        spec.objects = objects;
    spec.seed = Number(field("seed").value) || 0;
    if (parent)
        spec.remix_of = parent;
    return { spec, files: bundle.files, numbers };
}
/** Begin with a version that there is. */
function fill({ spec, files }) {
    known = files;
    parent ??= spec.remix_of;
    field("title").value = form.dataset.remix ? `${spec.title} again`.slice(0, 80) : spec.title;
    field("prompt").value = spec.prompt;
    field("seed").value = String(spec.seed ?? 0);
    for (const slider of sliders) {
        const value = get(spec, pathOf(slider));
        if (typeof value === "number")
            set(slider, value);
    }
    for (const input of fields) {
        const value = get(spec, input.dataset.field ?? "");
        if (value !== undefined)
            input.value = input instanceof HTMLSelectElement ? JSON.stringify(value) : String(value);
    }
    for (const [slot, medium] of media)
        medium.keep(get(spec, slot) ?? null);
    things.fill(spec.objects ?? []);
    for (const group of form.querySelectorAll("details")) {
        group.open ||= group.querySelector(".slider[data-set], .kept:not([hidden]), .thing") !== null;
    }
}
// Sliders
function set(slider, value) {
    slider.dataset.set = "yes";
    first("input", slider).value = String(value);
    first("output", slider).textContent = `${value}, set by hand`;
    first(".reset", slider).hidden = false;
}
for (const slider of sliders) {
    const input = first("input", slider);
    input.addEventListener("input", () => set(slider, Number(input.value)));
    first(".reset", slider).addEventListener("click", () => {
        delete slider.dataset.set;
        first("output", slider).textContent = "as the prompt says";
        first(".reset", slider).hidden = true;
        input.focus();
        soon();
    });
}
// What the server says of it
async function look() {
    if (!field("prompt").value.trim())
        return;
    newest += 1;
    const mine = newest;
    document.body.dataset.looking = "yes";
    try {
        const { numbers, ...made } = await world();
        const path = form.dataset.base ? `/v1/previews?against=${form.dataset.base}` : "/v1/previews";
        const told = await ask("POST", path, made);
        if (mine !== newest)
            return;
        show(told, numbers);
        fault(null);
    }
    catch (error) {
        if (mine === newest)
            fault(error);
    }
    finally {
        if (mine === newest)
            document.body.dataset.looking = "no";
    }
}
function show(told, numbers) {
    map.show(told.map, told.placed.map((one) => ({ ...one, index: numbers[one.index] ?? one.index })), told.zones);
    living.start(told.play);
    for (const part of ["understood", "inferred", "style"]) {
        byId(part).replaceChildren(...told[part].map((text) => made("li", text)));
    }
    byId("plays").replaceChildren(...told.plays.map(([name, value]) => {
        const row = document.createElement("div");
        row.append(made("dt", name), made("dd", value));
        return row;
    }));
    for (const slider of sliders)
        settle(slider, told);
    document.getElementById("changes")?.replaceChildren(...changed(told));
}
function settle(slider, { values, origins }) {
    const name = slider.dataset.name ?? "";
    const [value, origin] = [values[name], origins[name]];
    if (slider.dataset.set || value === undefined || origin === undefined)
        return;
    slider.dataset.origin = origin;
    first("input", slider).value = String(value);
    first("output", slider).textContent = `${Number(value.toFixed(2))}, ${ORIGINS[origin]}`;
}
function changed({ changes }) {
    if (changes.length === 0)
        return [made("li", "Nothing yet.")];
    return changes.map(({ what, before, after }) => {
        const [row, pair] = [made("li", ""), made("span", "")];
        pair.append(made("del", before), " ", made("ins", after));
        row.append(made("strong", what), " ", pair);
        return row;
    });
}
function made(name, text) {
    return Object.assign(document.createElement(name), { textContent: text });
}
function soon() {
    clearTimeout(timer);
    timer = setTimeout(() => void look(), QUIET);
}
form.addEventListener("input", soon);
form.addEventListener("change", soon);
form.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
        const { spec, files } = await world();
        const { remix, world: own } = form.dataset;
        const path = remix ? `/v1/worlds/${remix}/remixes` : own ? `/v1/worlds/${own}/versions` : "/v1/worlds";
        const version = await ask("POST", path, { spec, files });
        location.assign(`/studio/${version.id}`);
    }
    catch (error) {
        fault(error);
    }
});
if (form.dataset.base) {
    ask("POST", `/v1/versions/${form.dataset.base}/draft`).then(fill, fault).finally(soon);
}
else {
    soon();
}
