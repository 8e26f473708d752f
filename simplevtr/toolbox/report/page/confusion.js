// Which categories are taken for which.
"use strict";

Report.confusionSection = function (data) {
  const { el } = Report;
  const last = data.categories.length;
  const trueNames = [...data.categories, "false positive"];
  const names = [...data.categories, "missed"];
  const sums = data.confusion.map((row) => row.reduce((a, b) => a + b, 0));
  const head = el("tr", {}, el("th", { className: "corner" }, "true ↓  predicted →"),
    ...names.map((name, j) => el("th", { scope: "col", className: j === last ? "none" : "" },
      el("span", { title: name }, name))));
  const rows = data.confusion.map((counts, i) =>
    el("tr", { className: i === last ? "none" : "" },
      el("th", { scope: "row", title: trueNames[i] }, trueNames[i]),
      ...counts.map((count, j) => {
        if (i === last && j === last) return el("td", { className: "void" });
        const share = sums[i] ? count / sums[i] : 0;
        const kind = i === j ? "right" : "wrong";
        const cell = el("td", {
          className: count ? kind : "zero",
          title: `${trueNames[i]} → ${names[j]}: ${count} of ${sums[i]}`,
        }, count ? String(count) : "·");
        cell.style.setProperty("--share", `${Math.round(8 + 72 * share)}%`);
        return cell;
      })));
  return el("div", { className: "card" },
    el("p", { className: "muted" },
      `Tracks are matched by their masks alone, at a track IoU of ${data.iouThreshold} or more, ` +
      "whatever their categories. The last column counts true tracks that were not found, the " +
      "last row predictions that lie on no true track. The shade is the share of the row."),
    el("div", { className: "scroll", tabIndex: 0 },
      el("table", { className: last > 20 ? "confusion many" : "confusion" }, el("thead", {}, head), el("tbody", {}, ...rows))));
};
