// Four pictures to play with (emonb/book/interactive.py has the data), drawn with D3. Each is SVG in the page's colours,
// answers to mouse, touch and keyboard, and says in words what it shows; without this script the still picture stays.
(() => {
  const COLOURS = ["var(--blue)", "var(--faint)", "var(--orange)"];

  const written = (value, digits) => value.toFixed(digits).replace("-", "\u2212");
  const spoken = (kind) => kind.replaceAll("_", ", ");
  const listed = (words) => words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} and ${words[words.length - 1]}`;

  function set(selection, attributes) {
    for (const [name, value] of Object.entries(attributes)) selection.attr(name, value);
    return selection;
  }

  const add = (parent, tag, attributes = {}, text = null) => set(parent.append(tag), attributes).text(text);
  const addControls = (stage) => add(stage, "div", { class: "controls" });
  const addPanels = (stage) => add(stage, "div", { class: "panels" });
  const addWords = (stage) => add(stage, "p", { class: "said", "aria-live": "polite", "aria-atomic": "true" });
  const addCanvas = (parent, width, height, label) =>
    add(parent, "svg", { viewBox: `0 0 ${width} ${height}`, role: "group", "aria-label": label });

  function addChoice(parent, label, options, change) {
    const select = add(add(parent, "label", {}, `${label} `), "select", { "aria-label": label });
    select.selectAll("option").data(options).join("option").attr("value", ([value]) => value).text(([, text]) => text);
    return select.on("change", function () { change(this.value); });
  }

  const addButton = (parent, text, act) => add(parent, "button", { type: "button" }, text).on("click", act);

  // Marks that belong together are one stop of the Tab key; arrow keys go from one to the next.
  function joinMarks(joined, act) {
    const nodes = joined.nodes(), marks = d3.selectAll(nodes), number = (node) => nodes.indexOf(node);  // one group, not one a row
    marks.attr("tabindex", (_, k) => (k ? -1 : 0))
      .on("pointerenter click focus", function () { act(number(this)); })
      .on("keydown", function (event) {
        const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
        if (!step) return;
        event.preventDefault();
        const next = (number(this) + step + nodes.length) % nodes.length;
        marks.attr("tabindex", (_, k) => (k === next ? 0 : -1));
        nodes[next].focus();
      });
  }

  // Where each name stands beside its point: of four places the one that covers least of the others, important ones first.
  function placeNames(points, names, important) {
    const taken = points.map(([x, y]) => [x - 5, y - 5, x + 5, y + 5]);
    const shared = (a, b) => Math.max(0, Math.min(a[2], b[2]) - Math.max(a[0], b[0])) * Math.max(0, Math.min(a[3], b[3]) - Math.max(a[1], b[1]));
    const placed = [];
    for (const k of new Set([...important, ...points.keys()])) {
      const [x, y] = points[k], wide = 6.2 * names[k].length;
      const places = [[0, -9, "middle", x - wide / 2], [0, 17, "middle", x - wide / 2], [9, 4, "start", x + 9], [-9, 4, "end", x - 9 - wide]];
      const best = d3.least(places.map(([dx, dy, anchor, left]) => {
        const box = [left, y + dy - 10, left + wide, y + dy + 2], out = Math.max(0, -left) + Math.max(0, left + wide - 340);
        return { cost: d3.sum(taken, (other) => shared(box, other)) + 50 * out, box, given: { x: dx, y: dy, "text-anchor": anchor } };
      }), ({ cost }) => cost);
      taken.push(best.box);
      placed[k] = best.given;
    }
    return placed;
  }

  const pictures = {
    map(stage, data) {
      const controls = addControls(stage), panels = addPanels(stage), said = addWords(stage);
      const views = ["all", ...Object.keys(data.model).filter((name) => name !== "all").sort((a, b) => a - b)];
      let view = "all", colour = -1, chosen = 0;
      addChoice(controls, "colour", [[-1, "none"], ...data.attributes.map((name, k) => [k, name])], (k) => { colour = +k; update(); });
      if (views.length > 2) {
        const box = add(controls, "label", {}, "layer ");
        const slider = add(box, "input", { type: "range", min: 0, max: views.length - 1, value: 0, "aria-label": "layer of the model" });
        const shown = add(box, "output", {}, " all");
        slider.on("input", function () {
          view = views[this.value];
          shown.text(` ${view}`);
          slider.attr("aria-valuetext", view === "all" ? "all layers" : `layer ${view}`);
          update();
        });
      }
      const across = d3.scaleLinear([-1, 1], [42, 298]), up = d3.scaleLinear([-1, 1], [328, 48]);
      const sides = ["people", "model"].map((side) => {
        const svg = addCanvas(panels, 340, 350, `${side}: map of the emotions; arrow keys go from one to the next`);
        const title = add(svg, "text", { x: 170, y: 14, "text-anchor": "middle", style: "font-size:13px;font-weight:600" });
        const lines = add(svg, "g", { stroke: "currentColor", opacity: 0.55 });
        const marks = svg.selectAll("g.emotion").data(data.emotions).join("g").attr("class", "emotion").attr("role", "img").attr("aria-label", (name) => name);
        add(marks, "circle", { r: 11, fill: "transparent" });
        const dots = marks.append("circle"), labels = marks.append("text").text((name) => name);
        joinMarks(marks, (k) => { chosen = k; update(); });
        return { side, title, lines, marks, dots, labels };
      });
      function update() {
        const near = { people: data.near.people[chosen], model: data.near[view][chosen] };
        const common = near.people.filter((k) => near.model.includes(k)), is = (k) => k === chosen;
        for (const { side, title, lines, marks, dots, labels } of sides) {
          const points = (side === "people" ? data.people : data.model[view]).map(([x, y]) => [across(x), up(y)]);
          title.text(side === "people" ? "people" : view === "all" ? "model, all layers" : `model, layer ${view}`);
          lines.selectAll("line").data(near[side]).join("line")
            .attr("x1", points[chosen][0]).attr("y1", points[chosen][1]).attr("x2", (k) => points[k][0]).attr("y2", (k) => points[k][1])
            .attr("stroke-width", (k) => (common.includes(k) ? 2.5 : 1)).attr("stroke-dasharray", (k) => (common.includes(k) ? "none" : "3 3"));
          marks.attr("transform", (_, k) => `translate(${points[k].map((at) => at.toFixed(1)).join(" ")})`);
          dots.attr("fill", (_, k) => (colour < 0 ? COLOURS[is(k) ? 2 : 0] : COLOURS[data.thirds[colour][k]]))
            .attr("r", (_, k) => (is(k) ? 7 : colour < 0 ? 5 : 3.5 + 1.5 * data.thirds[colour][k]));
          const places = placeNames(points, data.emotions, [chosen, ...near[side]]);
          for (const name of ["x", "y", "text-anchor"]) labels.attr(name, (_, k) => places[k][name]);
          labels.attr("font-weight", (_, k) => (is(k) || (near[side].includes(k) && common.includes(k)) ? 700 : 400))
            .attr("opacity", (_, k) => (is(k) || near[side].includes(k) ? 1 : 0.45));
        }
        const words = (numbers) => listed(numbers.map((k) => data.emotions[k]));
        said.text(`: nearest for people are ${words(near.people)}; for the model ${words(near.model)}. ` +
          (common.length ? `${common.length} of ${near.people.length} ${common.length === 1 ? "is" : "are"} the same: ${words(common)}.` : "None is the same.") +
          (colour < 0 ? "" : ` Colour and size: ${data.attributes[colour]}, from the lowest third (blue, small) to the highest (orange, large).`));
        said.append("b").text(data.emotions[chosen]).lower();
      }
      update();
    },

    lottery(stage, data) {
      const controls = addControls(stage), said = addWords(stage);
      const total = Math.max(330, Math.min(680, stage.node().parentElement.clientWidth || 680)), left = total < 500 ? 76 : 130, right = total - 20;
      const svg = addCanvas(stage, total, 316, "masks as dots, and the differences of shuffled labels");
      const values = data.masks.map((mask) => mask.value), ours = data.masks.filter((mask) => mask.kind === data.kinds[0]).length;
      const [low, high] = d3.extent(values), reach = Math.max(1.15 * Math.abs(data.difference), 0.45 * (high - low || 1));
      const across = d3.scaleLinear([low, high > low ? high : low + 1], [left, right]);
      const along = d3.scaleLinear([-reach, reach], [left, right]).clamp(true);
      const label = (x, y, text, given = {}) => add(svg, "text", { x, y, ...given }, text);
      data.kinds.forEach((kind, row) => label(0, 40 + 50 * row, spoken(kind), { style: "font-size:13px" }));
      label(left, 118, `${low.toFixed(1)} %`);
      label(right, 118, `${high.toFixed(1)} % recognised, one mask`, { "text-anchor": "end" });
      const means = svg.selectAll("line.mean").data([0, 1]).join("line").attr("class", "mean").attr("stroke-width", 3);
      const marks = svg.selectAll("circle").data(data.masks).join("circle").attr("r", 7).attr("fill-opacity", 0.7).attr("role", "img")
        .attr("aria-label", (mask) => `${mask.kind}, ${mask.name}: ${mask.value.toFixed(1)} %`);
      const bin = d3.bin().domain([-reach, reach]).thresholds(d3.range(1, 41).map((k) => reach * (2 * k / 41 - 1)));
      const bars = add(svg, "g", { fill: "var(--faint)" });
      add(svg, "line", { x1: left, x2: right, y1: 280, y2: 280, stroke: "currentColor" });
      label(along(0), 308, "0", { "text-anchor": "middle" });
      label(left, 308, "selective worse");
      label(right, 308, "better (points)", { "text-anchor": "end" });
      const bar = add(svg, "line", { stroke: "currentColor", "stroke-width": 4, y1: 290, y2: 290, opacity: 0.8 });
      const at = along(data.difference);
      add(svg, "line", { x1: at, x2: at, y1: 140, y2: 284, stroke: "var(--orange)", "stroke-width": 3 });
      label(at, 136, `measured ${written(data.difference, 1)}`, { "text-anchor": "middle" });
      const shuffleRows = d3.shuffler(d3.randomLcg(0.2023)), inside = (value) => Math.max(-reach, Math.min(reach, value));
      let rows = d3.range(values.length), found = [], counted = "masks";
      const halves = () => [rows.slice(0, ours), rows.slice(ours)], mean = (half) => d3.mean(half, (k) => values[k]);

      function shuffle(times) {
        for (let k = 0; k < times; k++) {
          shuffleRows(rows);
          const [one, other] = halves().map(mean);
          found.push(one - other);
        }
        update();
      }
      function update() {
        const bins = bin(found.map(inside)), tall = d3.scaleLinear([0, Math.max(8, d3.max(bins, (b) => b.length))], [0, 120]);
        bars.selectAll("rect").data(bins).join("rect").attr("x", (b) => along(b.x0)).attr("width", (b) => Math.max(0, along(b.x1) - along(b.x0) - 1))
          .attr("y", (b) => 280 - tall(b.length)).attr("height", (b) => tall(b.length));
        const [one, other] = halves(), mine = new Set(one), tint = (own) => (own ? "var(--orange)" : "var(--blue)");
        marks.attr("cx", (_, k) => across(values[k])).attr("cy", (_, k) => (mine.has(k) ? 36 : 86)).attr("fill", (_, k) => tint(mine.has(k)));
        means.attr("y1", (r) => 18 + 50 * r).attr("y2", (r) => 54 + 50 * r).attr("stroke", (r) => tint(!r))
          .attr("x1", (r) => across(mean(r ? other : one))).attr("x2", (r) => across(mean(r ? other : one)));
        const interval = data.counted[counted], drawn = found.length;
        const beyond = found.filter((difference) => Math.abs(difference) >= Math.abs(data.difference) - 1e-9).length;
        bar.attr("x1", along(interval.low)).attr("x2", along(interval.high));
        for (const [name, button] of Object.entries(buttons)) button.attr("aria-pressed", String(name === counted));
        said.text(
          `Counted in ${counted} (${interval.n.toLocaleString("en")}), the difference, own less random masks, is ${written(data.difference, 1)} points, 95 % interval ` +
          `${written(interval.low, 1)} to ${written(interval.high, 1)}${interval.low < 0 && interval.high > 0 ? ", which includes zero" : ""}. ` +
          (drawn ? `Of ${drawn} shuffles, ${beyond} came out as far from zero as measured (${((100 * beyond) / drawn).toFixed(1)} %).`
            : "Shuffle: which masks are called selective is decided by lot, again and again."));
      }
      addButton(controls, "shuffle the labels", () => shuffle(1));
      addButton(controls, "shuffle 500 times", () => shuffle(500));
      addButton(controls, "as measured", () => { rows = d3.range(values.length); found = []; update(); });
      const count = (what) => addButton(controls, `count ${what}`, () => { counted = what; update(); });
      const buttons = { masks: count("masks"), prompts: count("prompts") };
      joinMarks(marks, (k) => said.text(`${spoken(data.masks[k].kind)} mask, ${data.masks[k].name}: ${values[k].toFixed(1)} % recognised.`));
      update();
    },

    card(stage, data) {
      const controls = addControls(stage), select = addChoice(controls, "attribute", data.attributes.map((name) => [name, name]), update);
      for (const [text, by] of [["previous", -1], ["next", 1]])
        addButton(controls, text, () => {
          const node = select.node();
          node.selectedIndex = (node.selectedIndex + by + data.attributes.length) % data.attributes.length;
          update();
        });
      const said = addWords(stage), panels = addPanels(stage);

      function addBars(title, rows, digits) {
        const known = rows.filter(([, value]) => value !== null), values = known.map(([, value]) => value);
        if (!known.length) return;
        const svg = addCanvas(panels, 330, 15 * known.length + 28, title);
        add(svg, "text", { x: 0, y: 12, style: "font-size:12px;font-weight:600" }, title);
        const reach = Math.max(d3.max(values, Math.abs), 1e-9), signed = d3.min(values) < 0;
        const along = signed ? d3.scaleLinear([-reach, reach], [110, 270]) : d3.scaleLinear([0, reach], [100, 270]);
        const lines = svg.selectAll("g").data(known).join("g").attr("transform", (_, k) => `translate(0 ${22 + 15 * k})`);
        add(lines, "text", { x: 94, y: 9, "text-anchor": "end" }).text(([name]) => name);
        add(lines, "rect", { height: 11 }).attr("x", ([, value]) => along(Math.min(0, value)))
          .attr("width", ([, value]) => along(Math.abs(value)) - along(0)).attr("fill", ([, value]) => COLOURS[value < 0 ? 2 : 0]);
        add(lines, "text", { y: 9 }).attr("x", ([, value]) => along(Math.max(0, value)) + 4)
          .text(([, value]) => written(value, Number.isInteger(value) ? 0 : digits));
      }
      function update() {
        const name = select.node().value, card = data.cards[name], words = (numbers) => listed(numbers.map((k) => data.emotions[k]));
        said.text(`: people find most of it in ${words(card.order.slice(0, 3))}, least in ${words(card.order.slice(-3))}.`);
        said.append("b").text(name).lower();
        panels.selectChildren().remove();
        const rows = add(add(add(panels, "div"), "table", { class: "table" }), "tbody").selectAll("tr").data(card.numbers).join("tr");
        add(rows, "th", { scope: "row" }).text(([heading]) => heading);
        add(rows, "td").text(([, value]) => value);
        addBars("neurons by layer", card.layers, 1);
        addBars("points lost, by neurons silenced", card.drop, 1);
        addBars("neurons in common with", card.overlap, 2);
      }
      update();
    },

    worlds(stage, data) {
      const controls = addControls(stage), signs = { yes: "✔", "yes, too small to matter": "(✔)", no: "✘", undecided: "?", "not tested": "–" };
      addChoice(controls, "world", data.worlds.map(([name]) => [name, name]), update);
      const about = add(stage, "p", { class: "said" }), box = add(stage, "div", { class: "scroll" }), said = addWords(stage);
      const short = (holds) => holds.split(",")[0];
      const decides = ([, , , holds, truth]) => ["yes", "no"].includes(short(holds)) && ["yes", "no"].includes(truth);
      const wrong = (row) => decides(row) && short(row[3]) !== row[4];
      const tell = ([, seed, claim, holds, truth, value, low, high]) =>
        `${claim} in world ${seed}: ${holds}${truth ? `; true: ${truth}` : ""}` +
        (value == null ? "." : `; ${value}${low == null ? "" : ` [${low}, ${high}]`}.`);

      function update(world = data.worlds[0][0]) {
        about.text(Object.fromEntries(data.worlds)[world] || "");
        const rows = data.rows.filter((row) => row[0] === world), seeds = [...new Set(rows.map((row) => row[1]))];
        const claims = [...d3.group(rows, (row) => row[2])];
        box.selectChildren().remove();
        const table = add(box, "table", { class: "table" });
        add(table, "thead").append("tr").selectAll("th").data(["claim", "true", ...seeds]).join("th").attr("scope", "col").text((text) => text);
        const lines = add(table, "tbody").selectAll("tr").data(claims).join("tr");
        add(lines, "th", { scope: "row" }).text(([claim]) => claim);
        add(lines, "td").text(([, mine]) => mine[0][4] || "–");
        const cells = lines.selectAll("td.world").data(([, mine]) => seeds.map((seed) => mine.find((row) => row[1] === seed))).join("td").attr("class", "world");
        const judged = cells.data().filter((row) => row && decides(row));
        cells.filter((row) => !row).text("–");
        const marks = add(cells.filter((row) => row), "span", { role: "img" }).text((row) => signs[row[3]] || row[3])
          .attr("aria-label", ([, seed, claim, holds]) => `${claim}, world ${seed}: ${holds}`)
          .attr("style", (row) => `display:inline-block;min-width:1.5rem;text-align:center;font-weight:700;color:${wrong(row) ? "var(--orange)" : "inherit"}`);
        joinMarks(marks, (k) => said.text(tell(marks.data()[k])));
        said.text(`Of ${judged.length} verdicts that say yes or no where the answer is known, ${judged.length - judged.filter(wrong).length} are right. ` +
          "✔ yes, (✔) too small to matter, ✘ no, ? undecided, – not tested; orange: wrong.");
      }
      update();
    },
  };

  document.addEventListener("DOMContentLoaded", () => {
    d3.selectAll(".interactive").each(function () {
      const stage = set(d3.select(this).select(".stage"), { role: "group", "aria-label": this.dataset.alt });
      pictures[this.dataset.interactive](stage, JSON.parse(this.querySelector("script").textContent));
      this.classList.add("on");
    });
  });
})();
