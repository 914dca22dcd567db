// Gamepads hold the same keys as everything else (the standard layout of the Gamepad API).

import type { Controls } from "./controls.js";
import { KEY } from "./wire.js";

const BUTTONS: Readonly<Record<number, number>> = {
  0: KEY.UP, // the lower of the four on the right: jump
  1: KEY.INTERACT,
  2: KEY.INTERACT,
  3: KEY.UP,
  12: KEY.UP,
  13: KEY.DOWN,
  14: KEY.LEFT,
  15: KEY.RIGHT,
};
const BACK = 4; // the left shoulder
const ON = 5; // the right one
const DEAD = 0.4; // of a stick's way, in which it counts as at rest

export class Gamepads {
  private readonly pressed = new Map<number, boolean>();
  private polling = false;

  /** turned(+1 or -1) is called for the shoulder buttons. */
  constructor(
    private readonly controls: Controls,
    private readonly turned: (by: 1 | -1) => void = () => {},
  ) {
    window.addEventListener("gamepadconnected", () => this.poll());
  }

  private poll(): void {
    if (this.polling) return;
    this.polling = true;
    const look = (now: number) => {
      const pads = navigator.getGamepads().filter((pad) => pad !== null && pad.mapping === "standard");
      this.controls.hold("gamepad", pads.reduce((all, pad) => all | (pad ? keysOf(pad) : 0), 0), now);
      this.turn(ON, pads.some((pad) => pad?.buttons[ON]?.pressed), 1);
      this.turn(BACK, pads.some((pad) => pad?.buttons[BACK]?.pressed), -1);
      this.polling = pads.length > 0;
      if (this.polling) requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
  }

  private turn(button: number, down: boolean, by: 1 | -1): void {
    if (down && !this.pressed.get(button)) this.turned(by);
    this.pressed.set(button, down);
  }
}

function keysOf(pad: Gamepad): number {
  const [x = 0, y = 0] = pad.axes;
  const stick =
    (x < -DEAD ? KEY.LEFT : 0) | (x > DEAD ? KEY.RIGHT : 0) | (y < -DEAD ? KEY.UP : 0) | (y > DEAD ? KEY.DOWN : 0);
  return pad.buttons.reduce((held, button, at) => held | (button.pressed ? (BUTTONS[at] ?? 0) : 0), stick);
}
