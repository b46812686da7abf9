// One key a label: clicks the button that the key stands on, as long as there is something to label.
document.addEventListener("keydown", event => {
  const labelling = document.querySelector("#labelling");
  if (!labelling || !labelling.offsetParent || event.ctrlKey || event.altKey || event.metaKey || event.repeat) return;
  const name = labelling.querySelector("#label-name textarea, #label-name input");
  if (event.target === name) {
    if (event.key === "Enter" || event.key === "Escape") setTimeout(() => name.blur()); // once it was taken
    return;
  }
  if (event.target.closest("input:not([type=file]):not([type=checkbox]), textarea, select, audio, video")) return;
  if (event.key === "n") {
    event.preventDefault();
    name.focus();
    return;
  }
  const button = labelling.querySelector({"0": "#label-skip", "Backspace": "#label-back"}[event.key] ?? `#label-${event.key}`);
  const card = labelling.querySelector("[data-at]");
  // a key counts once for each file: the next one may not be there yet
  if (!/^([0-9]|Backspace)$/.test(event.key) || !button || button.disabled || card?.dataset.answered) return;
  event.preventDefault();
  if (card) card.dataset.answered = "yes";
  button.click();
});
