// Three pictures to play with (emonb/book/interactive.py has the data), drawn with D3. Each is SVG in the page's colours,
// answers to mouse, touch and keyboard, and says in words what it shows; without this script the still picture stays.
(() => {
  const COLOURS = ["var(--blue)", "var(--faint)", "var(--orange)"];

  const written = (value, digits) => value.toFixed(digits).replace("-", "\u2212");
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

    count(stage, data) {
      const controls = addControls(stage), said = addWords(stage), tally = add(stage, "p", { class: "said" });
      const total = Math.max(330, Math.min(720, stage.node().parentElement.clientWidth || 720)), right = total - 110, floor = 300;
      const svg = addCanvas(stage, total, 420, "a column of dots for every attribute; at the right the mean with its interval");
      const columns = data.attributes.length, sums = data.more.map((row) => d3.sum(row)), many = data.emotions.length;
      const reach = d3.max(data.more.flat(), Math.abs);
      const up = d3.scaleLinear([-reach, reach], [floor, 26]), across = d3.scalePoint(d3.range(columns), [42, right - 24]);
      const label = (x, y, text, given = {}) => add(svg, "text", { x, y, ...given }, text);
      for (const tick of up.ticks(5)) label(34, up(tick) + 4, written(tick, 0), { "text-anchor": "end" });
      label(0, 10, "points lost more than with random neurons");
      label(total, 10, "mean, 95 % interval", { "text-anchor": "end" });
      add(svg, "line", { x1: 38, x2: total, y1: up(0), y2: up(0), stroke: "currentColor" });
      data.attributes.forEach((name, k) => label(0, 0, name, { transform: `translate(${across(k) + 4} ${floor + 12}) rotate(90)` }));
      const dots = svg.selectAll("circle").data(data.more.flatMap((row, k) => row.map((more) => [k, more]))).join("circle")
        .attr("cx", ([k]) => across(k)).attr("fill", "var(--blue)").attr("r", 4).style("transition", "cy 0.4s, r 0.4s");
      const middle = (right + total) / 2, width = 9;
      const bar = add(svg, "path", { stroke: "var(--orange)", "stroke-width": 3, fill: "none" });
      const point = add(svg, "circle", { cx: middle, r: 6, fill: "var(--orange)" });
      const random = d3.randomLcg(0.2023), ones = () => sums.map(() => 1), yes = data.units.map(() => 0);
      let unit = 0, signs = ones(), drawn = 0;

      // with other signs a unit's squares stay, so that mean and interval follow from the sums of the columns
      function interval({ n, squares, t }) {
        const mean = d3.sum(sums, (sum, k) => signs[k] * sum) / (columns * many);
        const half = t * Math.sqrt(Math.max(0, squares / n - mean ** 2) / (n - 1));
        return [mean, mean - half, mean + half];
      }
      function draw(times) {
        for (let k = 0; k < times; k++) {
          signs = sums.map(() => (random() < 0.5 ? -1 : 1));
          data.units.forEach((one, j) => { yes[j] += interval(one)[1] > 0; });
        }
        drawn += times;
        update();
      }
      function update() {
        const counted = data.units[unit], [mean, low, high] = interval(counted), whole = counted.name === "attributes";
        dots.attr("cy", ([k, more]) => up(signs[k] * (whole ? sums[k] / many : more))).attr("fill-opacity", whole ? 1 : 0.4).attr("r", whole ? 6 : 4);
        bar.attr("d", `M${middle} ${up(low)}V${up(high)}M${middle - width} ${up(low)}h${2 * width}M${middle - width} ${up(high)}h${2 * width}`);
        point.attr("cy", up(mean));
        for (const [k, button] of buttons.entries()) button.attr("aria-pressed", String(k === unit));
        said.text(`Counted as ${counted.n.toLocaleString("en")} ${counted.name}, ${signs.includes(-1) ? "sets that a coin chose" : "attributes' neurons"} cost ` +
          `${written(mean, 1)} points more [${written(low, 1)}, ${written(high, 1)}]. ${low > 0 ? "That says yes." : "That does not say yes."}`);
        tally.text(drawn ? `Of ${drawn.toLocaleString("en")} studies in which a coin chose which of each two sets is the attribute's, so that nothing is there, counting said yes: ` +
          `${listed(data.units.map(({ name }, k) => `${name} in ${yes[k]}`))}.`
          : "Would another count say yes where nothing is there? Let a coin choose which of each two sets of neurons is called the attribute's.");
      }
      const buttons = data.units.map(({ name, n }, k) => addButton(controls, `${n.toLocaleString("en")} ${name}`, () => { unit = k; update(); }));
      addButton(controls, "let a coin choose", () => draw(1));
      addButton(controls, "500 times", () => draw(500));
      addButton(controls, "as measured", () => { signs = ones(); drawn = 0; yes.fill(0); update(); });
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
        const table = add(add(panels, "div"), "table", { class: "table" });
        add(table, "caption").text(`The numbers of ${name}`);
        const rows = add(table, "tbody").selectAll("tr").data(card.numbers).join("tr");
        add(rows, "th", { scope: "row" }).text(([heading]) => heading);
        add(rows, "td").text(([, value]) => value);
        addBars("neurons by layer (%)", card.layers, 1);
        addBars("neurons in common with", card.overlap, 2);
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
