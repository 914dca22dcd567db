// Makes a world: the form becomes a spec, the server says what it comes to, and it is sent to the bots.

import { ask, fault } from "./asking.js";

const QUIET = 450; // ms without a key before the map is drawn again
const form = document.getElementById("create");
const byId = (id) => document.getElementById(id);
const uploads = new Map(); // File to a promise of its id
let timer = 0;
let newest = 0;

const named = (file) => `${file.name.replace(/[^A-Za-z0-9._-]/g, "-").slice(-60)}`;
const chosen = (name) => form.elements[name].files[0];

function uploaded(file) {
  if (!uploads.has(file)) uploads.set(file, ask("POST", "/v1/uploads", file).then((told) => told.id));
  return uploads.get(file);
}

async function world() {
  const files = {};
  const keep = async (file) => {
    files[named(file)] = await uploaded(file);
    return named(file);
  };
  const spec = { title: form.elements.title.value.trim() || "Untitled", prompt: form.elements.prompt.value.trim() };
  for (const slider of document.querySelectorAll(".slider[data-set]")) {
    const group = (spec[slider.dataset.group] ??= {});
    group[slider.dataset.name] = Number(slider.querySelector("input").value);
  }
  for (const name of ["view", "enemies"]) {
    if (form.elements[name].value) (spec.mechanics ??= {})[name] = form.elements[name].value;
  }
  spec.seed = Number(form.elements.seed.value) || 0;
  for (const name of ["reference", "backdrop", "video"]) {
    if (chosen(name)) (spec.style ??= {})[name] = await keep(chosen(name));
  }
  if (chosen("music")) spec.music = await keep(chosen("music"));
  const objects = [];
  for (const thing of document.querySelectorAll(".thing")) {
    const where = { depth: thing.querySelector(".where").value };
    const text = thing.querySelector(".text")?.value.trim();
    const sound = thing.querySelector(".sound")?.files[0];
    if (text) objects.push({ kind: "sign", text, where });
    if (sound) objects.push({ kind: "character", says: await keep(sound), where });
  }
  if (objects.length) spec.objects = objects;
  return { spec, files };
}

async function look() {
  if (!form.elements.prompt.value.trim()) return;
  const mine = ++newest;
  document.body.dataset.looking = "yes";
  try {
    const told = await ask("POST", "/v1/previews", await world());
    if (mine === newest) show(told);
    fault(null);
  } catch (error) {
    if (mine === newest) fault(error);
  } finally {
    if (mine === newest) document.body.dataset.looking = "no";
  }
}

function show(told) {
  byId("map").src = told.map;
  byId("map").hidden = false;
  byId("waiting").hidden = true;
  for (const part of ["understood", "inferred", "style"]) {
    byId(part).replaceChildren(...told[part].map((text) => Object.assign(document.createElement("li"), { textContent: text })));
  }
  for (const slider of document.querySelectorAll(".slider:not([data-set])")) {
    const value = told.values[slider.dataset.name];
    if (value === undefined) continue;
    slider.querySelector("input").value = value;
    slider.querySelector("output").textContent = `${value}, from the prompt`;
  }
}

function soon() {
  clearTimeout(timer);
  timer = setTimeout(look, QUIET);
}

for (const slider of document.querySelectorAll(".slider")) {
  const [input, output, reset] = ["input", "output", ".reset"].map((part) => slider.querySelector(part));
  input.addEventListener("input", () => {
    slider.dataset.set = "yes";
    output.textContent = input.value;
    reset.hidden = false;
  });
  reset.addEventListener("click", () => {
    delete slider.dataset.set;
    output.textContent = "as the prompt says";
    reset.hidden = true;
    soon();
  });
}

function add(kind) {
  const thing = byId(kind).content.cloneNode(true).firstElementChild;
  thing.querySelector(".remove").addEventListener("click", () => {
    thing.remove();
    soon();
  });
  byId("things").append(thing);
  thing.querySelector("input").focus();
}

byId("add-sign").addEventListener("click", () => add("sign"));
byId("add-character").addEventListener("click", () => add("character"));
form.addEventListener("input", soon);
form.addEventListener("change", soon);
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    const made = await world();
    const path = form.dataset.remix ? `/v1/worlds/${form.dataset.remix}/remixes` : "/v1/worlds";
    const version = await ask("POST", path, made);
    location.assign(`/studio/${version.id}`);
  } catch (error) {
    fault(error);
  }
});
soon();
