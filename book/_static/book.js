// What scrolls in itself can be reached and scrolled with the keyboard, and fades where it goes on.
function reach() {
  for (const box of document.querySelectorAll(".bd-article :is(table, pre, math, figure, details)")) {
    const wider = box.scrollWidth > box.clientWidth;
    box.classList.toggle("wider", wider);
    box.onscroll = () => box.classList.toggle("at-end", box.scrollLeft + box.clientWidth > box.scrollWidth - 2);
    if (wider) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  }
}
addEventListener("load", reach);
addEventListener("resize", reach);
