// A world of the feed: asks for a ticket, plays, and says why it ended.

import { Controls } from "./controls.js";
import { byId, first, opaque } from "./dom.js";
import { bare } from "./keys.js";
import { hearts, Live, Pace, type Notice } from "./live.js";
import { muteButton, Speaker } from "./sound.js";
import { CLOSE, type Frame } from "./wire.js";

const CLOSED: Readonly<Record<number, string>> = {
  1012: "The server is restarting.",
  [CLOSE.TRY_AGAIN_LATER]: "All places are taken. Try again in a minute.",
  [CLOSE.BAD_TICKET]: "The ticket was no longer good.",
  [CLOSE.GUARDED]: "Play has ended: this world showed something that is not allowed here. It is being looked at.",
  [CLOSE.NOT_PUBLISHED]: "This world was withdrawn.",
  [CLOSE.UNGUARDED]: "Nobody can watch over play just now. Try again in a minute.",
};
const DROPPED = 1006; // the connection was lost, and nobody closed it
const TRIES = 5;

const world = encodeURIComponent(first("[data-world]").dataset.world ?? "");
const canvas = byId<HTMLCanvasElement>("canvas");
const contexts = { frame: opaque(canvas) };
const speaker = new Speaker(24000, 1600);
const pace = new Pace();
let live: Live | null = null;
let resume: string | null = null; // with it the session goes on after the connection was lost
let tries = 0;

function notice(text: string, retry = false): void {
  const box = byId("notice");
  box.hidden = text === "";
  box.textContent = text;
  if (retry) box.append(" ", retryButton());
}

function retryButton(): HTMLButtonElement {
  const button = document.createElement("button");
  button.className = "button";
  button.textContent = "Play again";
  button.addEventListener("click", () => void start());
  return button;
}

async function start(): Promise<void> {
  notice("Waking the world…");
  try {
    const answer = await fetch(`/v1/worlds/${world}/sessions`, { method: "POST" });
    if (!answer.ok) {
      const problem = (await answer.json()) as { title: string; detail: string };
      return notice(`${problem.title}: ${problem.detail}.`, true);
    }
    tries = 0;
    connect(((await answer.json()) as { socket: string }).socket);
  } catch {
    notice("The server cannot be reached.", true);
  }
}

function connect(path: string): void {
  live = new Live(path, {
    contexts,
    shown: show,
    told,
    closed: ended,
    heard: (samples) => speaker.push(samples),
    painted: (frame, now) => pace.measure(frame, now),
  });
}

function told(message: Notice): void {
  if (message.type === "hello") resume = message.resume;
  else notice(message.position ? `All places are taken. You are number ${message.position} in the queue.` : "Your turn…");
}

function ended({ code, reason }: { code: number; reason: string }): void {
  document.documentElement.dataset.live = "no";
  if (code === DROPPED && resume !== null && tries < TRIES) {
    tries += 1;
    notice("The connection was lost. Trying to go on…");
    const path = `/v1/worlds/${world}/play?resume=${encodeURIComponent(resume)}`;
    setTimeout(() => connect(path), 1000 * tries);
    return;
  }
  notice(CLOSED[code] ?? (reason ? `Play has ended: ${reason}.` : "The connection was lost."), true);
}

function report(): void {
  if (!live || live.over || canvas.dataset.tick === undefined) return;
  live.report();
  byId("reported").textContent = "Reported. Thank you: a person can look at this moment.";
}

function show(frame: Frame): void {
  tries = 0;
  notice(frame.done ? "You made it!" : "");
  document.documentElement.dataset.live = "yes";
  canvas.dataset.tick = String(frame.tick);
  byId("health").textContent = hearts(frame.health);
  byId("coins").textContent = String(frame.coins);
  byId("keys").textContent = String(frame.keys);
}

new Controls((held, at) => live?.keys(held, at), () => speaker.unlock());
window.addEventListener("keydown", (event) => {
  if (event.code === "KeyR" && !event.repeat && bare(event)) report();
});
byId("report").addEventListener("click", report);
muteButton(byId("mute"), speaker);
void start();
