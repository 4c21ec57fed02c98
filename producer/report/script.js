"use strict";
// What a shape says, beside the pointer or under the finger. Words are set as text, never as markup.
const tip = document.getElementById("tip");
let shown = null;
function show(event) {
  const at = event.target instanceof Element ? event.target.closest("[data-tip]") : null;
  if (shown && shown !== at) shown.classList.remove("on");
  shown = at;
  tip.hidden = !at;
  if (!at) return;
  at.classList.add("on");
  tip.firstChild.textContent = at.dataset.title || "";
  tip.lastChild.textContent = at.dataset.tip;
  const box = tip.getBoundingClientRect();
  const right = event.clientX + 14 + box.width > innerWidth;
  const below = event.clientY - box.height - 14 < 0;
  tip.style.left = Math.max(6, right ? event.clientX - box.width - 14 : event.clientX + 14) + "px";
  tip.style.top = (below ? event.clientY + 18 : event.clientY - box.height - 14) + "px";
}
document.addEventListener("pointermove", show);
document.addEventListener("pointerdown", show);
document.addEventListener("scroll", () => { tip.hidden = true; }, { passive: true });
