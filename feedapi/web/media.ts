// Files that a form names: chosen now and uploaded once, or kept from the version that it began with.

import { ask } from "./asking.js";
import { first } from "./dom.js";

const uploads = new Map<File, Promise<string>>();

function uploaded(file: File): Promise<string> {
  let id = uploads.get(file);
  if (id === undefined) {
    id = ask<{ id: string }>("POST", "/v1/uploads", file).then((told) => told.id);
    uploads.set(file, id);
    id.catch(() => uploads.delete(file)); // what failed is tried again
  }
  return id;
}

/** Names of media in a spec, each with the upload that it stands for. */
export class Bundle {
  readonly files: Record<string, string> = {};

  constructor(private readonly known: Readonly<Record<string, string>>) {}

  /** The name in the spec of what a field holds; undefined where it holds nothing. */
  async name(medium: Medium): Promise<string | undefined> {
    if (medium.file) return this.put(fit(medium.file.name), await uploaded(medium.file));
    const id = medium.kept === null ? undefined : this.known[medium.kept];
    return medium.kept === null || id === undefined ? undefined : this.put(medium.kept, id);
  }

  /** Two files of one name get two. */
  private put(name: string, id: string): string {
    let free = name;
    for (let count = 2; this.files[free] !== undefined && this.files[free] !== id; count += 1) free = `${count}-${name}`;
    this.files[free] = id;
    return free;
  }
}

const fit = (name: string) => name.replace(/[^A-Za-z0-9._-]/g, "-").replace(/^[^A-Za-z0-9_]+/, "").slice(-60) || "file";

/** A file input, and beside it the name of what was there before. */
export class Medium {
  kept: string | null = null;
  private readonly input: HTMLInputElement;
  private readonly line: HTMLElement;

  /** changed() is called when what it holds is taken away; the input's own events tell the rest. */
  constructor(element: HTMLElement, changed: () => void) {
    this.input = first<HTMLInputElement>("input", element);
    this.line = first(".kept", element);
    first("button", this.line).addEventListener("click", () => {
      this.keep(null);
      this.input.value = "";
      this.input.focus();
      changed();
    });
    this.input.addEventListener("change", () => this.keep(this.file?.name ?? this.kept, this.kept));
  }

  get file(): File | undefined {
    return this.input.files?.[0];
  }

  /** Say what it holds; `kept` is the part of that which was there before. */
  keep(shown: string | null, kept: string | null = shown): void {
    this.kept = kept;
    this.line.hidden = shown === null;
    first("span", this.line).textContent = shown ?? "";
  }
}
