// Keyboard and touch: both end in a set of held keys, and that in one action per step.

const BY_CODE = {
  ArrowLeft: "left", KeyA: "left", ArrowRight: "right", KeyD: "right", ArrowUp: "up", KeyW: "up",
  ArrowDown: "down", KeyS: "down", Space: "interact", KeyE: "interact", Enter: "interact",
};

/** The action that a set of keys stands for: interacting comes first, opposite keys cancel out. */
export function actionOf(keys) {
  if (keys.has("interact")) return 7;
  const across = keys.has("right") - keys.has("left");
  const down = keys.has("down") - keys.has("up");
  if (down < 0) return across === 0 ? 3 : across < 0 ? 5 : 6;
  if (across !== 0) return across < 0 ? 1 : 2;
  return down > 0 ? 4 : 0;
}

export class Keys {
  /** gesture() is called on every press. */
  constructor(gesture) {
    this.gesture = gesture;
    this.held = new Map(); // what holds a key (a key's code or a pointer) -> the key
    this.tapped = new Set(); // pressed since the last step: even the shortest press counts
    window.addEventListener("keydown", (event) => this.keyDown(event));
    window.addEventListener("keyup", (event) => this.held.delete(event.code));
    window.addEventListener("blur", () => this.held.clear());
    for (const button of document.querySelectorAll("[data-key]")) this.wireButton(button);
  }

  keyDown(event) {
    const key = BY_CODE[event.code];
    const onWidget = event.target instanceof Element && event.target.closest("button, a");
    if (key === undefined || event.ctrlKey || event.metaKey || event.altKey || (onWidget && key === "interact")) return;
    event.preventDefault();
    if (!event.repeat) this.press(event.code, key);
  }

  wireButton(button) {
    button.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      this.press(event.pointerId, button.dataset.key);
    });
    for (const name of ["pointerup", "pointercancel", "pointerleave"]) {
      button.addEventListener(name, (event) => this.held.delete(event.pointerId));
    }
  }

  press(source, key) {
    this.held.set(source, key);
    this.tapped.add(key);
    this.gesture();
  }

  /** What to do in this step. Interacting happens once per press, walking as long as a key is held. */
  takeAction() {
    const keys = new Set([...this.held.values()].filter((key) => key !== "interact"));
    for (const key of this.tapped) keys.add(key);
    this.tapped.clear();
    return actionOf(keys);
  }
}
