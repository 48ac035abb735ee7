// Definitions of the glossary's words where they are used, and boxes that scroll reachable with the keyboard.
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

  // Code is folded away; one switch shows it all, and the choice is kept from page to page.
  function offerCode() {
    const place = document.querySelector(".header-article-items__end .header-article-item");
    if (!place || !document.querySelector("article details.hide")) return;
    const button = document.createElement("button");
    const update = (shown) => {
      document.documentElement.classList.toggle("code", shown);
      button.setAttribute("aria-pressed", String(shown));
      for (const fold of document.querySelectorAll("article details.hide")) fold.open = shown;
    };
    Object.assign(button, { type: "button", className: "all-code", textContent: "code" });
    button.title = "show the code of all cells of this page";
    button.addEventListener("click", () => {
      const shown = button.getAttribute("aria-pressed") !== "true";
      try { localStorage.setItem("code", shown ? "shown" : ""); } catch { /* nothing is kept */ }
      update(shown);
    });
    let kept = "";
    try { kept = localStorage.getItem("code"); } catch { /* nothing is kept */ }
    update(kept === "shown");
    place.prepend(button);
  }

  function nameToggles() {
    for (const toggle of document.querySelectorAll("nav details > summary")) {
      const page = toggle.closest("li").querySelector("a");
      if (page && !toggle.textContent.trim()) toggle.setAttribute("aria-label", `Pages of ${page.textContent.trim()}`);
    }
  }

  document.addEventListener("DOMContentLoaded", () => {
    nameToggles();
    offerCode();
    document.querySelectorAll("a.term[data-definition]").forEach(explain);
    document.addEventListener("keydown", (event) => event.key === "Escape" && hide());
    document.addEventListener("pointerdown", (event) => owner && !owner.contains(event.target) && hide());
    reachBoxes();
    window.addEventListener("resize", reachBoxes);
    document.addEventListener("toggle", reachBoxes, true);
  });
})();
