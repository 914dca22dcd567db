// Whether a key press is meant for the page: not for a field, and with no modifier.

export function bare(event: KeyboardEvent): boolean {
  const typing =
    event.target instanceof Element && event.target.closest("input:not([type=checkbox]), textarea, select, dialog");
  return !typing && !event.ctrlKey && !event.altKey && !event.metaKey && !event.isComposing;
}
