// Precision over recall.
"use strict";

{
  const { el, svg } = Report;
  const [WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM] = [520, 340, 46, 12, 12, 40];
  const x = (recall) => LEFT + recall * (WIDTH - LEFT - RIGHT);
  const y = (precision) => HEIGHT - BOTTOM - precision * (HEIGHT - TOP - BOTTOM);

  const axes = () => {
    const parts = [];
    for (const tick of [0, 0.2, 0.4, 0.6, 0.8, 1]) {
      parts.push(
        svg("line", { class: "grid", x1: x(tick), x2: x(tick), y1: y(0), y2: y(1) }),
        svg("line", { class: "grid", x1: x(0), x2: x(1), y1: y(tick), y2: y(tick) }),
        svg("text", { x: x(tick), y: y(0) + 16, "text-anchor": "middle" }, String(tick)),
        svg("text", { x: x(0) - 7, y: y(tick) + 4, "text-anchor": "end" }, String(tick)),
      );
    }
    const middle = y(0.5);
    return [
      ...parts,
      svg("text", { x: x(0.5), y: HEIGHT - 6, "text-anchor": "middle" }, "recall"),
      svg("text", {
        x: 12, y: middle, "text-anchor": "middle", transform: `rotate(-90 12 ${middle})`,
      }, "precision"),
    ];
  };

  const path = (precision) =>
    precision.map((value, i) => `${i ? "L" : "M"}${x(i / 100).toFixed(1)} ${y(value).toFixed(1)}`)
      .join("");

  // lines: {name, colour, note, precision (101 numbers, or null), on}
  Report.curves = function (lines, label) {
    const plot = svg("svg", {
      viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": label, class: "curves",
    }, ...axes());
    const legend = el("div", { className: "legend" });
    for (const line of lines) {
      if (line.precision === null) continue;
      const curve = svg("path", { d: path(line.precision), class: "curve" },
        svg("title", {}, line.name));
      curve.style.stroke = line.colour;
      curve.style.display = line.on ? "" : "none";
      const key = el("span", { className: "key" });
      key.style.background = line.colour;
      const chip = el("button", {
        type: "button", className: "chip",
        attrs: { "aria-pressed": String(line.on) },
        on: {
          click: () => {
            const on = chip.getAttribute("aria-pressed") !== "true";
            chip.setAttribute("aria-pressed", String(on));
            curve.style.display = on ? "" : "none";
          },
          mouseenter: () => { plot.classList.add("dim"); curve.classList.add("strong"); },
          mouseleave: () => { plot.classList.remove("dim"); curve.classList.remove("strong"); },
        },
      }, key, el("span", {}, line.name), el("span", { className: "muted" }, line.note));
      plot.append(curve);
      legend.append(chip);
    }
    return el("div", {}, plot, legend);
  };

  Report.curvesSection = function (data) {
    const { scores, categories } = data;
    const mean = (values) => 100 * values.reduce((sum, value) => sum + value, 0) / values.length;
    const note = (precision) => (precision ? Report.number(mean(precision)) : "");
    const byIou = Report.curves(scores.byIou.map((line, i) => ({
      name: `IoU ${line.iou.toFixed(2)}`,
      colour: `hsl(${(200 + 13 * i) % 360} 75% 52%)`,
      note: note(line.precision),
      precision: line.precision,
      on: true,
    })), "Precision over recall for each IoU threshold");

    // Many lines cannot be told apart: at first the categories with the most tracks.
    const order = categories.map((_, k) => k)
      .sort((a, b) => scores.categories[b].true - scores.categories[a].true);
    const rank = new Map(order.map((k, place) => [k, place]));
    const holder = el("div");
    const draw = (which) => holder.replaceChildren(Report.curves(categories.map((name, k) => ({
      name,
      colour: Report.colour(rank.get(k), 52),
      note: note(scores.byCategory[k][which]),
      precision: scores.byCategory[k][which],
      on: rank.get(k) < 8,
    })), "Precision over recall for each category"));
    draw("mean");
    const choice = el("select", { on: { change: () => draw(choice.value) } },
      ...[["mean", "IoU 0.50 to 0.95"], ["50", "IoU 0.50"], ["75", "IoU 0.75"]]
        .map(([value, text]) => el("option", { value }, text)));
    return el("div", { className: "halves" },
      el("div", { className: "card" }, el("h3", {}, "Mean over categories, each IoU"), byIou),
      el("div", { className: "card" },
        el("div", { className: "spread" }, el("h3", {}, "Each category"),
          el("label", {}, "at ", choice)),
        holder));
  };
}
