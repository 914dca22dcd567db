// Shares a link: by the device's own means where there are some, else through the clipboard, else in words.

export async function share(title: string, address: string, told: HTMLElement): Promise<void> {
  try {
    if ("share" in navigator) return await navigator.share({ title, url: address });
    await (navigator as Navigator).clipboard.writeText(address);
    told.textContent = "The link is copied.";
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") return; // the player thought better of it
    told.textContent = `The link: ${address}`;
  }
}
