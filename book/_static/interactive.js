// Four pictures to play with (emonb/book/interactive.py has the data). Each is SVG in the page's colours, answers to
// mouse, touch and keyboard, and says in words what it shows; without this script the still picture stays.
(() => {
  const SVG = "http://www.w3.org/2000/svg";
  const COLOURS = ["var(--blue)", "var(--faint)", "var(--orange)"];

  const written = (value, digits) => value.toFixed(digits).replace("-", "\u2212");

  function draw(parent, tag, given = {}, text) {
    const element = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(given)) element.setAttribute(name, value);
    if (text !== undefined) element.textContent = text;
    parent.append(element);
    return element;
  }

  function make(parent, tag, given = {}, text) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(given)) element.setAttribute(name, value);
    if (text !== undefined) element.textContent = text;
    parent.append(element);
    return element;
  }

  function canvas(parent, width, height, label) {
    return draw(parent, "svg", { viewBox: `0 0 ${width} ${height}`, role: "group", "aria-label": label });
  }

  function choose(parent, label, options, change) {
    const box = make(parent, "label", {}, `${label} `);
    const select = make(box, "select", { "aria-label": label });
    for (const [value, text] of options) make(select, "option", { value }, text);
    select.addEventListener("change", () => change(select.value));
    return select;
  }

  // Marks that belong together are one stop of the Tab key; arrow keys go from one to the next.
  function together(marks, act) {
    marks.forEach((mark, k) => {
      mark.setAttribute("tabindex", k ? "-1" : "0");
      mark.addEventListener("pointerenter", () => act(k));
      mark.addEventListener("click", () => act(k));
      mark.addEventListener("focus", () => act(k));
      mark.addEventListener("keydown", (event) => {
        const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
        if (!step) return;
        event.preventDefault();
        const next = (k + step + marks.length) % marks.length;
        marks.forEach((other, j) => other.setAttribute("tabindex", j === next ? "0" : "-1"));
        marks[next].focus();
      });
    });
  }

  // Where each name stands beside its point: of four places the one that covers least of the others, important ones first.
  function placeNames(points, names, important) {
    const taken = points.map(([x, y]) => [x - 5, y - 5, x + 5, y + 5]);
    const shared = (a, b) => Math.max(0, Math.min(a[2], b[2]) - Math.max(a[0], b[0])) * Math.max(0, Math.min(a[3], b[3]) - Math.max(a[1], b[1]));
    const order = [...new Set([...important, ...points.keys()])];
    const placed = [];
    for (const k of order) {
      const [x, y] = points[k], wide = 6.2 * names[k].length;
      const places = [[0, -9, "middle", x - wide / 2], [0, 17, "middle", x - wide / 2], [9, 4, "start", x + 9], [-9, 4, "end", x - 9 - wide]];
      let best = null;
      for (const [dx, dy, anchor, left] of places) {
        const box = [left, y + dy - 10, left + wide, y + dy + 2];
        const out = Math.max(0, -left) + Math.max(0, left + wide - 340);
        const cost = taken.reduce((sum, other) => sum + shared(box, other), 0) + 50 * out;
        if (!best || cost < best.cost) best = { cost, box, given: { x: dx, y: dy, "text-anchor": anchor } };
      }
      taken.push(best.box);
      placed[k] = best.given;
    }
    return placed;
  }

  function listed(words) {
    return words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} and ${words[words.length - 1]}`;
  }

  function random(seed) {  // mulberry32
    return () => {
      seed = (seed + 0x6d2b79f5) | 0;
      let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
      t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
      return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
    };
  }

  const pictures = {
    map(stage, data) {
      const controls = make(stage, "div", { class: "controls" });
      const panels = make(stage, "div", { class: "panels" });
      const said = make(stage, "p", { class: "said", "aria-live": "polite" });
      const names = Object.keys(data.model).filter((name) => name !== "all").sort((a, b) => a - b);
      const views = ["all", ...names];
      let view = "all", colour = -1, chosen = 0;
      choose(controls, "colour", [[-1, "none"], ...data.attributes.map((name, k) => [k, name])], (k) => { colour = +k; update(); });
      if (names.length > 1) {
        const box = make(controls, "label", {}, "layer ");
        const slider = make(box, "input", { type: "range", min: 0, max: views.length - 1, value: 0, "aria-label": "layer of the model" });
        const shown = make(box, "output", {}, " all");
        slider.addEventListener("input", () => {
          view = views[slider.value];
          shown.textContent = ` ${view}`;
          slider.setAttribute("aria-valuetext", view === "all" ? "all layers" : `layer ${view}`);
          update();
        });
      }
      const sides = ["people", "model"].map((side) => {
        const svg = canvas(panels, 340, 350, `${side}: map of the emotions; arrow keys go from one to the next`);
        const title = draw(svg, "text", { x: 170, y: 14, "text-anchor": "middle", style: "font-size:13px;font-weight:600" });
        const lines = draw(svg, "g", { stroke: "currentColor", "stroke-width": 1, opacity: 0.55 });
        const marks = data.emotions.map((emotion) => {
          const mark = draw(svg, "g", { role: "img", "aria-label": emotion });
          draw(mark, "circle", { r: 11, fill: "transparent" });
          const dot = draw(mark, "circle", { r: 5 });
          const label = draw(mark, "text", { x: 0, y: -8, "text-anchor": "middle" }, emotion);
          return Object.assign(mark, { dot, label });
        });
        together(marks, (k) => { chosen = k; update(); });
        return { side, svg, title, lines, marks };
      });
      function update() {
        const near = { people: data.near.people[chosen], model: data.near[view][chosen] };
        const common = near.people.filter((k) => near.model.includes(k));
        for (const { side, title, lines, marks } of sides) {
          const points = (side === "people" ? data.people : data.model[view]).map(([x, y]) => [170 + 128 * x, 188 - 140 * y]);
          title.textContent = side === "people" ? "people" : view === "all" ? "model, all layers" : `model, layer ${view}`;
          lines.replaceChildren();
          for (const k of near[side])
            draw(lines, "line", { x1: points[chosen][0], y1: points[chosen][1], x2: points[k][0], y2: points[k][1],
              "stroke-width": common.includes(k) ? 2.5 : 1, "stroke-dasharray": common.includes(k) ? "none" : "3 3" });
          const sides4 = placeNames(points, data.emotions, [chosen, ...near[side]]);
          marks.forEach((mark, k) => {
            for (const [name, value] of Object.entries(sides4[k])) mark.label.setAttribute(name, value);
            mark.setAttribute("transform", `translate(${points[k][0].toFixed(1)} ${points[k][1].toFixed(1)})`);
            mark.dot.setAttribute("fill", colour < 0 ? (k === chosen ? COLOURS[2] : COLOURS[0]) : COLOURS[data.thirds[colour][k]]);
            mark.dot.setAttribute("r", k === chosen ? 7 : colour < 0 ? 5 : 3.5 + 1.5 * data.thirds[colour][k]);
            const named = k === chosen || near[side].includes(k);
            mark.label.setAttribute("font-weight", k === chosen || (named && common.includes(k)) ? 700 : 400);
            mark.label.setAttribute("opacity", named ? 1 : 0.45);
          });
        }
        const word = (k) => data.emotions[k];
        said.replaceChildren();
        make(said, "b", {}, word(chosen));
        said.append(`: nearest for people are ${listed(near.people.map(word))}; for the model ${listed(near.model.map(word))}. ` +
          (common.length ? `${common.length} of ${near.people.length} ${common.length === 1 ? "is" : "are"} the same: ${listed(common.map(word))}.` : "None is the same.") +
          (colour < 0 ? "" : ` Colour and size: ${data.attributes[colour]}, from the lowest third (blue, small) to the highest (orange, large).`));
      }
      update();
    },

    lottery(stage, data) {
      const controls = make(stage, "div", { class: "controls" });
      const said = make(stage, "p", { class: "said", "aria-live": "polite" });
      const total = Math.max(330, Math.min(680, stage.parentElement.clientWidth || 680)), left = total < 500 ? 76 : 130, room = total - left - 20;
      const svg = canvas(stage, total, 316, "masks as dots, and the differences of shuffled labels");
      const values = data.masks.map((mask) => mask.value);
      const first = data.masks.filter((mask) => mask.kind === data.kinds[0]).length;
      const low = Math.min(...values), high = Math.max(...values), span = high - low || 1;
      const across = (value) => left + (room * (value - low)) / span;
      const reach = Math.max(1.15 * Math.abs(data.difference), 0.45 * span);
      const along = (value) => left + room / 2 + (room / 2) * (value / reach);
      const label = (x, y, text, given = {}) => draw(svg, "text", { x, y, ...given }, text);
      data.kinds.forEach((kind, row) => label(0, 40 + 50 * row, kind.replaceAll("_", ", "), { style: "font-size:13px" }));
      label(left, 118, `${low.toFixed(1)} %`);
      label(left + room, 118, `${high.toFixed(1)} % recognised, one mask`, { "text-anchor": "end" });
      const means = [0, 1].map(() => draw(svg, "line", { "stroke-width": 3 }));
      const marks = data.masks.map((mask) =>
        draw(svg, "circle", { r: 7, "fill-opacity": 0.7, role: "img", "aria-label": `${mask.kind}, ${mask.name}: ${mask.value.toFixed(1)} %` }));
      const bins = 41, counts = new Array(bins).fill(0), bars = [];
      for (let k = 0; k < bins; k++) bars.push(draw(svg, "rect", { fill: "var(--faint)", width: room / bins - 1 }));
      draw(svg, "line", { x1: left, x2: left + room, y1: 280, y2: 280, stroke: "currentColor" });
      label(left + room / 2, 308, "0", { "text-anchor": "middle" });
      label(left, 308, "selective worse", {});
      label(left + room, 308, "better (points)", { "text-anchor": "end" });
      const bar = draw(svg, "line", { stroke: "currentColor", "stroke-width": 4, y1: 290, y2: 290, opacity: 0.8 });
      draw(svg, "line", { x1: along(data.difference), x2: along(data.difference), y1: 140, y2: 284, stroke: "var(--orange)", "stroke-width": 3 });
      label(along(data.difference), 136, `measured ${written(data.difference, 1)}`, { "text-anchor": "middle" });
      let labels = values.map((_, k) => k), drawn = 0, beyond = 0, counted = "masks";
      const next = random(20230219);

      function shuffle() {
        for (let k = labels.length - 1; k > 0; k--) {
          const j = Math.floor(next() * (k + 1));
          [labels[k], labels[j]] = [labels[j], labels[k]];
        }
        const mean = (rows) => rows.reduce((sum, k) => sum + values[k], 0) / rows.length;
        const difference = mean(labels.slice(0, first)) - mean(labels.slice(first));
        drawn += 1;
        if (Math.abs(difference) >= Math.abs(data.difference) - 1e-9) beyond += 1;
        counts[Math.max(0, Math.min(bins - 1, Math.floor(((difference / reach + 1) / 2) * bins)))] += 1;
      }
      function update() {
        const most = Math.max(8, ...counts);
        bars.forEach((rect, k) => {
          const tall = (120 * counts[k]) / most;
          for (const [name, value] of Object.entries({ x: left + (room * k) / bins, y: 280 - tall, height: tall })) rect.setAttribute(name, value);
        });
        const rows = [labels.slice(0, first), labels.slice(first)];
        rows.forEach((row, r) => {
          const at = row.reduce((sum, k) => sum + across(values[k]), 0) / row.length;
          for (const [name, value] of Object.entries({ x1: at, x2: at, y1: 18 + 50 * r, y2: 54 + 50 * r, stroke: r ? "var(--blue)" : "var(--orange)" }))
            means[r].setAttribute(name, value);
          for (const k of row) {
            marks[k].setAttribute("cx", across(values[k]));
            marks[k].setAttribute("cy", 36 + 50 * r);
            marks[k].setAttribute("fill", r ? "var(--blue)" : "var(--orange)");
          }
        });
        const interval = data.counted[counted];
        bar.setAttribute("x1", along(Math.max(-reach, interval.low)));
        bar.setAttribute("x2", along(Math.min(reach, interval.high)));
        for (const [name, button] of Object.entries(buttons)) button.setAttribute("aria-pressed", String(name === counted));
        said.textContent =
          `Counted in ${counted} (${interval.n.toLocaleString("en")}), the difference, own less random masks, is ${written(data.difference, 1)} points, 95 % interval ` +
          `${written(interval.low, 1)} to ${written(interval.high, 1)}${interval.low < 0 && interval.high > 0 ? ", which includes zero" : ""}. ` +
          (drawn ? `Of ${drawn} shuffles, ${beyond} came out as far from zero as measured (${((100 * beyond) / drawn).toFixed(1)} %).`
            : "Shuffle: which masks are called selective is decided by lot, again and again.");
      }
      const press = (text, act) => {
        const button = make(controls, "button", { type: "button" }, text);
        button.addEventListener("click", () => { act(); update(); });
        return button;
      };
      press("shuffle the labels", shuffle);
      press("shuffle 500 times", () => { for (let k = 0; k < 500; k++) shuffle(); });
      press("as measured", () => { labels = values.map((_, k) => k); counts.fill(0); drawn = beyond = 0; });
      const buttons = { masks: press("count masks", () => { counted = "masks"; }), prompts: press("count prompts", () => { counted = "prompts"; }) };
      together(marks, (k) => { said.textContent = `${data.masks[k].kind.replaceAll("_", ", ")} mask, ${data.masks[k].name}: ${values[k].toFixed(1)} % recognised.`; });
      update();
    },

    card(stage, data) {
      const controls = make(stage, "div", { class: "controls" });
      const select = choose(controls, "attribute", data.attributes.map((name) => [name, name]), update);
      const step = (by) => {
        select.selectedIndex = (select.selectedIndex + by + data.attributes.length) % data.attributes.length;
        update();
      };
      for (const [text, by] of [["previous", -1], ["next", 1]])
        make(controls, "button", { type: "button" }, text).addEventListener("click", () => step(by));
      const said = make(stage, "p", { class: "said", "aria-live": "polite" });
      const panels = make(stage, "div", { class: "panels" });

      function bars(title, rows, digits) {
        const known = rows.filter(([, value]) => value !== null);
        if (!known.length) return;
        const tall = 15 * known.length + 28;
        const svg = canvas(panels, 330, tall, title);
        draw(svg, "text", { x: 0, y: 12, style: "font-size:12px;font-weight:600" }, title);
        const reach = Math.max(...known.map(([, value]) => Math.abs(value)), 1e-9), negative = known.some(([, value]) => value < 0);
        const zero = negative ? 190 : 100, wide = negative ? 80 : 170;
        known.forEach(([name, value], k) => {
          const y = 22 + 15 * k, long = (wide * Math.abs(value)) / reach;
          draw(svg, "text", { x: 94, y: y + 9, "text-anchor": "end" }, name);
          draw(svg, "rect", { x: value < 0 ? zero - long : zero, y, width: long, height: 11, fill: value < 0 ? "var(--orange)" : "var(--blue)" });
          draw(svg, "text", { x: value < 0 ? zero + 4 : zero + long + 4, y: y + 9 }, written(value, Number.isInteger(value) ? 0 : digits));
        });
      }
      function update() {
        const name = select.value, card = data.cards[name];
        panels.replaceChildren();
        const word = (k) => data.emotions[k];
        said.replaceChildren();
        make(said, "b", {}, name);
        said.append(`: people find most of it in ${listed(card.order.slice(0, 3).map(word))}, least in ${listed(card.order.slice(-3).map(word))}.`);
        const box = make(panels, "div");
        const table = make(make(box, "table", { class: "table" }), "tbody");
        for (const [heading, value] of card.numbers) {
          const row = make(table, "tr");
          make(row, "th", { scope: "row" }, heading);
          make(row, "td", {}, value);
        }
        bars("neurons by layer", card.layers, 1);
        bars("points lost, by neurons silenced", card.drop, 1);
        bars("neurons in common with", card.overlap, 2);
      }
      update();
    },

    worlds(stage, data) {
      const controls = make(stage, "div", { class: "controls" });
      const marks = { yes: "✔", no: "✘", undecided: "?", "not tested": "–" };
      choose(controls, "world", data.worlds.map(([name]) => [name, name]), update);
      const about = make(stage, "p", { class: "said" });
      const box = make(stage, "div", { class: "scroll" });
      const said = make(stage, "p", { class: "said", "aria-live": "polite" });

      function update(world = data.worlds[0][0]) {
        about.textContent = Object.fromEntries(data.worlds)[world] || "";
        const rows = data.rows.filter((row) => row[0] === world);
        const seeds = [...new Set(rows.map((row) => row[1]))], claims = [...new Set(rows.map((row) => row[2]))];
        box.replaceChildren();
        const table = make(box, "table", { class: "table" });
        const head = make(make(table, "thead"), "tr");
        for (const text of ["claim", "true", ...seeds]) make(head, "th", { scope: "col" }, text);
        const body = make(table, "tbody");
        const cells = [], told = [];
        let right = 0, judged = 0;
        for (const claim of claims) {
          const line = make(body, "tr");
          const mine = rows.filter((row) => row[2] === claim);
          make(line, "th", { scope: "row" }, claim);
          make(line, "td", {}, mine[0][4] || "–");
          for (const seed of seeds) {
            const row = mine.find((one) => one[1] === seed);
            const cell = make(line, "td");
            if (!row) { cell.textContent = "–"; continue; }
            const decided = ["yes", "no"].includes(row[3]) && ["yes", "no"].includes(row[4]);
            judged += decided;
            right += decided && row[3] === row[4];
            const mark = make(cell, "span", { role: "img", "aria-label": `${claim}, world ${seed}: ${row[3]}` }, marks[row[3]] || row[3]);
            mark.style.cssText = `display:inline-block;min-width:1.5rem;text-align:center;font-weight:700;color:${decided && row[3] !== row[4] ? "var(--orange)" : "inherit"}`;
            cells.push(mark);
            const [value, low, high] = row.slice(5);
            told.push(`${claim} in world ${seed}: ${row[3]}${row[4] ? `; true: ${row[4]}` : ""}` +
              (value == null ? "." : `; ${value}${low == null ? "" : ` [${low}, ${high}]`}.`));
          }
        }
        together(cells, (k) => { said.textContent = told[k]; });
        said.textContent = `Of ${judged} verdicts that say yes or no where the answer is known, ${right} are right. ✔ yes, ✘ no, ? undecided, – not tested; orange: wrong.`;
      }
      update();
    },
  };

  document.addEventListener("DOMContentLoaded", () => {
    for (const box of document.querySelectorAll(".interactive")) {
      const stage = box.querySelector(".stage");
      stage.setAttribute("role", "group");
      stage.setAttribute("aria-label", box.dataset.alt);
      pictures[box.dataset.interactive](stage, JSON.parse(box.querySelector("script").textContent));
      box.classList.add("on");
    }
  });
})();
