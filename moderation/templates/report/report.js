document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-seek]");
  if (!button) return;
  const clip = button.closest(".clip");
  const video = clip.querySelector("video");
  clip.querySelector(".veil input").checked = true;
  video.currentTime = Number(button.dataset.seek);
  video.play();
});
document.addEventListener("change", (event) => {
  const video = event.target.checked && event.target.parentElement.querySelector("video");
  if (video) video.focus();
});
