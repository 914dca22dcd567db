// A page's own keys.

/** Whether a key press is meant for the page: not for a field, and with no modifier. */
export function bare(event: KeyboardEvent): boolean {
  const typing =
    event.target instanceof Element && event.target.closest("input:not([type=checkbox]), textarea, select, dialog");
  return !typing && !event.ctrlKey && !event.altKey && !event.metaKey && !event.isComposing;
}

/** What single keys do, by ``KeyboardEvent.code``. */
export function shortcuts(acts: Readonly<Record<string, () => void>>): void {
  window.addEventListener("keydown", (event) => {
    const act = acts[event.code];
    if (act === undefined || event.repeat || !bare(event)) return;
    event.preventDefault(); // a letter must not land in a field that the key opens
    act();
  });
}
