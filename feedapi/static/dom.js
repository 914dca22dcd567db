// Elements that a page's template has; one that lacks is a mistake of the template, and said so.
export function byId(id) {
    const found = document.getElementById(id);
    if (found === null)
        throw new Error(`the page has no #${id}`);
    return found;
}
export function first(selector, within = document) {
    const found = within.querySelector(selector);
    if (found === null)
        throw new Error(`the page has no ${selector}`);
    return found;
}
/** What a canvas of the page is drawn with; nothing behind it shines through. */
export function opaque(canvas) {
    const context = canvas.getContext("2d", { alpha: false });
    if (context === null)
        throw new Error("this browser draws on no canvas");
    return context;
}
/** Where an event of a whole page took place: the nearest element around it that matches. */
export const within = (event, selector) => event.target instanceof Element ? event.target.closest(selector) : null;
