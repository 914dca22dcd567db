// A policy while it is written: checked by the server as one types, faults marked in the margin, kept in this
// browser until the server keeps it.
import { ask, fault } from "./asking.js";
import { byId, first } from "./dom.js";
const CALM = 350; // ms without a key before the draft is checked
const page = first(".drafting");
const source = byId("source");
const gutter = byId("gutter");
const KEPT = `firstplay.draft.${page.dataset.from ?? ""}`;
let files = new Map();
let open = "";
let asked = 0; // number of the newest check: an older answer is not shown
let waiting = 0;
let found = null;
// Files
function load() {
    const shipped = [...document.querySelectorAll("textarea.file")];
    files = new Map(shipped.map((one) => [one.dataset.name ?? "", one.value]));
    const kept = localStorage.getItem(KEPT);
    if (kept)
        files = new Map(JSON.parse(kept));
    show([...files.keys()][0] ?? "");
}
function show(name, line = 0, column = 0) {
    open = name;
    source.value = files.get(name) ?? "";
    number();
    tabs();
    if (line)
        jump(line, column);
}
function tabs() {
    const buttons = [...files.keys()].map((name) => {
        const button = document.createElement("button");
        button.type = "button";
        button.className = "tab";
        const faulty = found?.faults.some((one) => one.file === name) ?? false;
        button.textContent = faulty ? `${name} ●` : name;
        button.setAttribute("aria-pressed", String(name === open));
        button.addEventListener("click", () => show(name));
        return button;
    });
    byId("tabs").replaceChildren(...buttons);
    byId("remove").disabled = files.size < 2;
}
function jump(line, column) {
    const rows = source.value.split("\n");
    const before = rows.slice(0, line - 1).reduce((sum, row) => sum + row.length + 1, 0);
    const at = before + Math.max(0, column - 1);
    source.focus();
    source.setSelectionRange(at, before + (rows[line - 1]?.length ?? 0));
    source.scrollTop = (line - 6) * (source.scrollHeight / Math.max(rows.length, 1));
    gutter.scrollTop = source.scrollTop;
}
function number() {
    const faulty = new Set(found?.faults.filter((one) => one.file === open).map((one) => one.line));
    const lines = source.value.split("\n").map((_, n) => {
        const line = document.createElement("span");
        line.textContent = `${n + 1}\n`;
        if (faulty.has(n + 1))
            line.className = "wrong";
        return line;
    });
    gutter.replaceChildren(...lines);
    gutter.scrollTop = source.scrollTop;
}
// Checking
const draft = () => ({ files: Object.fromEntries(files), entry: page.dataset.entry ?? "." });
function changed() {
    files.set(open, source.value);
    localStorage.setItem(KEPT, JSON.stringify([...files]));
    number();
    later();
}
function later() {
    byId("keep").disabled = true;
    asked += 1; // what is said of the text before is not said of this one
    byId("verdict").textContent = "Checking…";
    delete byId("verdict").dataset.good;
    clearTimeout(waiting);
    waiting = window.setTimeout(() => void check(), CALM);
}
async function check() {
    const mine = ++asked;
    try {
        const told = await ask("POST", "/v1/policy-checks", draft());
        if (mine !== asked)
            return;
        found = told;
        tell(told);
        fault(null);
    }
    catch (error) {
        if (mine === asked)
            fault(error);
    }
}
function tell(told) {
    const failing = told.tests.filter((one) => !one.passes).length;
    const wrong = told.faults.length;
    byId("verdict").dataset.good = String(wrong === 0);
    byId("verdict").textContent = wrong
        ? `${wrong} ${wrong === 1 ? "fault" : "faults"}: it cannot be kept like this.`
        : `${told.name} is valid: ${told.rules.length} rules, ${told.tests.length} test cases pass.`;
    byId("keep").disabled = wrong > 0;
    byId("faults").replaceChildren(...told.faults.map(faultItem));
    byId("tally").textContent = told.tests.length ? `(${told.tests.length - failing} of ${told.tests.length} pass)` : "";
    byId("tests").replaceChildren(...told.tests.map((one) => item(one.passes ? one.name : one.told, { passes: String(one.passes) })));
    const nothing = wrong && !told.name ? "It is compared once it is valid." : "It says the same.";
    byId("changes").replaceChildren(...(told.changes.length ? told.changes : [nothing]).map((one) => item(one)));
    byId("words").replaceChildren(...told.words.map(paragraph), ...told.rules.map(ruleSection));
    for (const part of document.querySelectorAll("details[hidden]"))
        part.removeAttribute("hidden");
    number();
    tabs();
}
function faultItem(one) {
    const link = document.createElement("button");
    link.type = "button";
    link.className = "spot";
    link.textContent = one.line ? `${one.file}:${one.line}:${one.column}` : one.file;
    link.addEventListener("click", () => show(files.has(one.file) ? one.file : open, one.line, one.column));
    const made = document.createElement("li");
    const remedy = document.createElement("span");
    remedy.className = "soft";
    remedy.textContent = ` ${one.remedy}`;
    made.append(link, ` ${one.rule ? `${one.rule}: ` : ""}${one.problem}.`, remedy);
    return made;
}
function item(text, data = {}) {
    const made = document.createElement("li");
    made.textContent = text;
    Object.assign(made.dataset, data);
    return made;
}
function paragraph(text) {
    const made = document.createElement("p");
    made.textContent = text;
    return made;
}
function ruleSection(one) {
    const section = document.createElement("section");
    section.className = "rule";
    const title = document.createElement("h2");
    title.textContent = `${one.severity} ${one.title} `;
    if (one.file) {
        const place = document.createElement("button");
        place.type = "button";
        place.className = "spot";
        place.textContent = `${one.file}:${one.line}`;
        place.addEventListener("click", () => show(one.file, one.line, 1));
        title.append(place);
    }
    else {
        const soft = document.createElement("span");
        soft.className = "soft";
        soft.textContent = "inherited";
        title.append(soft);
    }
    section.append(title, ...one.words.map(paragraph));
    return section;
}
// Buttons
async function keep() {
    if (byId("keep").disabled)
        return;
    try {
        const kept = await ask("POST", "/v1/policies", draft());
        localStorage.removeItem(KEPT);
        location.assign(`/policies/${kept.sha256}`);
    }
    catch (error) {
        fault(error);
    }
}
function add() {
    const name = prompt("What is the file called?", "more.yaml")?.trim();
    if (!name)
        return;
    if (!/^[A-Za-z0-9_-][A-Za-z0-9._-]*(\/[A-Za-z0-9_-][A-Za-z0-9._-]*){0,4}\.ya?ml$/.test(name))
        return fault(`A file is called like more.yaml, not ${name}.`);
    if (files.size === 1 && page.dataset.entry === open)
        page.dataset.entry = "."; // now the folder is the bundle
    files.set(name, files.get(name) ?? "rules: []\n");
    show(name);
    later();
}
function remove() {
    if (files.size < 2)
        return;
    files.delete(open);
    show([...files.keys()][0] ?? "");
    changed();
}
source.addEventListener("input", changed);
source.addEventListener("scroll", () => (gutter.scrollTop = source.scrollTop));
byId("keep").addEventListener("click", () => void keep());
byId("add").addEventListener("click", add);
byId("remove").addEventListener("click", remove);
byId("discard").addEventListener("click", () => {
    localStorage.removeItem(KEPT);
    load();
    void check();
});
window.addEventListener("keydown", (event) => {
    if (event.key !== "s" || !(event.ctrlKey || event.metaKey))
        return;
    event.preventDefault();
    void keep();
});
load();
source.readOnly = false; // until now the page's own text would have taken the place of what is written
void check();
