// Definitions of the glossary's words where they are used, code for who asks for it, and boxes that scroll reachable with
// the keyboard.
(() => {
  let bubble = null;
  let owner = null;

  function hide() {
    if (bubble) bubble.remove();
    if (owner) owner.removeAttribute("aria-describedby");
    bubble = owner = null;
  }

  function show(word) {
    if (owner === word) return;
    hide();
    owner = word;
    bubble = document.createElement("div");
    bubble.id = "definition";
    bubble.setAttribute("role", "tooltip");
    bubble.textContent = word.dataset.definition;
    document.body.append(bubble);
    word.setAttribute("aria-describedby", "definition");
    const at = word.getBoundingClientRect();
    const width = bubble.offsetWidth;
    const left = Math.max(8, Math.min(at.left, document.documentElement.clientWidth - width - 8));
    const below = at.bottom + 6 + bubble.offsetHeight < window.innerHeight;
    bubble.style.left = `${left + window.scrollX}px`;
    bubble.style.top = `${window.scrollY + (below ? at.bottom + 6 : Math.max(4, at.top - bubble.offsetHeight - 6))}px`;
  }

  function explain(word) {
    word.addEventListener("pointerenter", (event) => event.pointerType === "mouse" && show(word));
    word.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && hide());
    word.addEventListener("focus", () => word.matches(":focus-visible") && show(word));
    word.addEventListener("blur", hide);
    word.addEventListener("click", (event) => {
      if (event.pointerType === "touch" && owner !== word) {  // the first tap explains, the second follows the link
        event.preventDefault();
        show(word);
      }
    });
  }

  function reachBoxes() {
    for (const box of document.querySelectorAll(".scroll, .frame, div.highlight pre, .cell_output pre, .formula")) {
      if (box.scrollWidth > box.clientWidth + 1) {
        box.tabIndex = 0;
        if (box.classList.contains("scroll")) {
          box.setAttribute("role", "region");
          box.setAttribute("aria-label", "table, wider than the page");
        }
      } else {
        for (const name of ["tabindex", "role", "aria-label"]) box.removeAttribute(name);
      }
    }
  }

  function nameToggles() {
    for (const toggle of document.querySelectorAll("nav details > summary")) {
      const page = toggle.closest("li").querySelector("a");
      if (page && !toggle.textContent.trim()) toggle.setAttribute("aria-label", `Pages of ${page.textContent.trim()}`);
    }
  }

  function offerCode(button) {
    button.hidden = false;
    button.addEventListener("click", () => {
      const shown = document.documentElement.classList.toggle("show-code");
      button.setAttribute("aria-pressed", String(shown));
      for (const folded of document.querySelectorAll("div.cell details.hide")) folded.open = shown;
      reachBoxes();
    });
  }

  document.addEventListener("DOMContentLoaded", () => {
    document.querySelectorAll(".code-offer button").forEach(offerCode);
    nameToggles();
    document.querySelectorAll("a.term[data-definition]").forEach(explain);
    document.addEventListener("keydown", (event) => event.key === "Escape" && hide());
    document.addEventListener("pointerdown", (event) => owner && !owner.contains(event.target) && hide());
    reachBoxes();
    window.addEventListener("resize", reachBoxes);
    document.addEventListener("toggle", reachBoxes, true);
  });
})();
