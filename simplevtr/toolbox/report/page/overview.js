// The numbers of a report: tiles, the table of scores and the table of videos.
"use strict";

{
  const { el } = Report;

  const EXPLAINED = {
    AP: "average precision, mean over the IoU thresholds 0.50 to 0.95, in per cent",
    AP50: "average precision at an IoU of 0.50",
    AP75: "average precision at an IoU of 0.75",
    APs: "AP of small tracks",
    APm: "AP of medium tracks",
    APl: "AP of large tracks",
    AR1: "greatest recall with one track a video and category",
    AR10: "greatest recall with ten tracks a video and category",
    AR100: "greatest recall with a hundred tracks a video and category",
  };

  const tile = (value, name, note) => el("div", { className: "tile" },
    el("strong", {}, value), el("span", {}, name), el("small", { className: "muted" }, note));

  Report.tiles = function (data) {
    const { totals, scores } = data;
    const count = (value) => value.toLocaleString("en");
    const tiles = scores
      ? [
        ...["AP", "AP50", "AP75", "AR10"].map((name) => tile(
          Report.number(scores.overall[scores.columns.indexOf(name)]), name,
          { AP: "IoU 0.50 to 0.95", AP50: "IoU 0.50", AP75: "IoU 0.75", AR10: "recall" }[name])),
        tile(`${count(totals.matches)} / ${count(totals.true)}`, "tracks found",
          `${count(totals.misses)} missed`),
        tile(count(totals.falsePositives), "false positives",
          `of ${Report.count(totals.predicted, "prediction")}`),
        tile(count(totals.switches), "identity switches",
          `in ${Report.count(totals.videos, "video")}`),
      ]
      : [
        tile(count(totals.videos), "videos", Report.count(totals.frames, "frame")),
        tile(count(totals.predicted), "predicted tracks",
          `score ${data.scoreThreshold} or more`),
        tile(Report.number(totals.predicted / totals.videos, 2), "tracks a video", "mean"),
      ];
    return el("div", { className: "tiles" }, ...tiles);
  };

  Report.scoresSection = function (data) {
    const { scores } = data;
    const row = (name, entry) => ({ name, ...entry });
    const sum = (key) => scores.categories.reduce((total, entry) => total + entry[key], 0);
    const overall = row("all categories", {
      true: sum("true"), predicted: sum("predicted"), values: scores.overall,
    });
    const meter = (value) => {
      const bar = el("span", { className: "meter" }, Report.number(value));
      bar.style.setProperty("--share", `${value || 0}%`);
      return bar;
    };
    const columns = [
      { name: "category", value: (entry) => entry.name, text: true },
      { name: "true", title: "true tracks without crowds", value: (entry) => entry.true },
      {
        name: "predicted", title: `predictions that score ${data.scoreThreshold} or more`,
        value: (entry) => entry.predicted,
      },
      ...scores.columns.map((name, i) => ({
        name,
        title: EXPLAINED[name],
        value: (entry) => entry.values[i],
        cell: (entry) => (i ? Report.number(entry.values[i]) : meter(entry.values[i])),
      })),
    ];
    const rows = data.categories.map((name, k) => row(name, scores.categories[k]));
    const [small, medium] = data.areaLimits;
    return el("div", { className: "card" },
      Report.table({ columns, rows, pinned: overall, label: "Scores" }).element,
      el("p", { className: "muted" },
        "In per cent; – where nothing is true. Small tracks have up to " +
        `${Report.count(small, "pixel")} in the mean of their frames, ` +
        `medium ones up to ${small === medium ? "as many" : medium.toLocaleString("en")}.`));
  };

  Report.videosSection = function (data) {
    const shown = new Set([...data.worst, ...data.best]);
    const name = (row) => (shown.has(row.id)
      ? el("a", { href: `#video-${row.id}`, title: "show its frames" }, row.name)
      : row.name);
    const numeric = (title, key, explained, digits = 0, ascending = false) => ({
      name: title, title: explained, ascending, value: (row) => row[key],
      cell: (row) => Report.number(row[key], digits),
    });
    const columns = [
      { name: "video", value: (row) => row.name, cell: name, text: true },
      numeric("frames", "length", "number of frames"),
      ...(data.scored
        ? [
          numeric("AP", "ap", "AP as if there were no other video, in per cent", 1, true),
          numeric("AP50", "ap50", "the same at an IoU of 0.50", 1, true),
          numeric("track IoU", "iou", "mean over the true tracks, 0 for a miss", 2, true),
          numeric("true", "true", "true tracks without crowds"),
          numeric("predicted", "predicted", `score ${data.scoreThreshold} or more`),
          numeric("missed", "misses", `true tracks without a match of their category, IoU ${
            data.iouThreshold} or more`),
          numeric("false", "falsePositives", "predictions without a match"),
          numeric("switches", "switches", "identity switches"),
        ]
        : [
          numeric("tracks", "predicted", `score ${data.scoreThreshold} or more`),
          numeric("best score", "best", "", 2),
          numeric("mean score", "score", "", 2, true),
        ]),
    ];
    const sorted = data.scored ? 2 : 4;
    const table = Report.table({ columns, rows: data.videos, sorted, label: "Videos" });
    table.element.classList.add("tall");
    const search = el("input", {
      type: "search", placeholder: "find a video", attrs: { "aria-label": "Find a video" },
      on: { input: () => {
        const wanted = search.value.toLowerCase();
        table.filter((row) => row.name.toLowerCase().includes(wanted));
      } },
    });
    return el("div", { className: "card" },
      el("div", { className: "spread" },
        el("span", { className: "muted" }, "A click on a heading sorts."), search),
      table.element);
  };
}
