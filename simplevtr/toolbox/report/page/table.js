// Tables that are sorted by a click on a column's heading.
"use strict";

// columns: {name, title, value(row) -> number, text or null, cell(row) -> node or text, text: bool}
// pinned: a row that stays on top, or null. Nulls come last in either direction.
Report.table = function ({ columns, rows, pinned = null, sorted = null, descending = false, label }) {
  const { el } = Report;
  const body = el("tbody");
  const state = { column: sorted, descending };
  const buttons = columns.map((column, index) => {
    const first = !column.text && !column.ascending;
    const press = () => {
      const same = state.column === index;
      state.descending = same ? !state.descending : first;
      state.column = index;
      draw();
    };
    return el("button", { type: "button", title: column.title || "", on: { click: press } },
      column.name);
  });
  const heads = buttons.map((button, index) =>
    el("th", { scope: "col", className: columns[index].text ? "text" : "" }, button));
  const line = (row, className = "") =>
    el("tr", { className }, ...columns.map((column) => {
      const content = column.cell ? column.cell(row) : column.value(row);
      return el("td", { className: column.text ? "text" : "" },
        content === null || content === undefined ? "–" : content);
    }));
  const lines = new Map(rows.map((row) => [row, line(row)]));
  let shown = rows;

  function draw() {
    const order = [...shown];
    const column = columns[state.column];
    if (column) order.sort((a, b) => compare(column.value(a), column.value(b), state.descending));
    heads.forEach((head, index) => {
      const way = state.descending ? "descending" : "ascending";
      head.setAttribute("aria-sort", index === state.column ? way : "none");
    });
    body.replaceChildren(...order.map((row) => lines.get(row)));
  }

  draw();
  const top = el("thead", {}, el("tr", {}, ...heads), pinned ? line(pinned, "pinned") : null);
  const table = el("table", { className: "numbers", attrs: { "aria-label": label } }, top, body);
  return {
    element: el("div", { className: "scroll", tabIndex: 0 }, table),
    filter(test) {
      shown = rows.filter(test);
      draw();
    },
  };
};

function compare(a, b, descending) {
  if (a === null || b === null) return (a === null) - (b === null);
  const order = typeof a === "string"
    ? a.localeCompare(b, "en", { numeric: true })
    : a - b;
  return descending ? -order : order;
}
