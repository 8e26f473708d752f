// Puts the sections of a report on the page when its data arrives.
"use strict";

{
  const { el } = Report;

  const chips = (row, scored) => (scored
    ? [
      ["AP", Report.number(row.ap)], ["track IoU", Report.number(row.iou, 2)],
      ["true", row.true], ["predicted", row.predicted], ["missed", row.misses],
      ["false", row.falsePositives], ["switches", row.switches],
    ]
    : [["tracks", row.predicted], ["mean score", Report.number(row.score, 2)]]
  ).map(([name, value]) => el("span", { className: "fact" },
    el("span", { className: "muted" }, name), el("b", {}, String(value))));

  const card = (row, data) => {
    const holder = el("div", { className: "holder" });
    holder.style.setProperty("--ratio", String(row.width / row.height));
    const article = el("article", { className: "card", id: `video-${row.id}` },
      el("div", { className: "spread" },
        el("h3", {}, row.name),
        el("span", { className: "muted" },
          `${Report.count(row.length, "frame")}, ${row.width} × ${row.height}`)),
      el("div", { className: "facts" }, ...chips(row, data.scored)),
      holder);
    Report.whenNear(article, async () => {
      try {
        const video = await Report.loadVideo(row.id);
        const player = new Report.Player({ ...video, length: row.length }, data);
        holder.replaceChildren(player.element);
        holder.classList.add("ready");
      } catch (error) {
        holder.textContent = error.message;
      }
    });
    return article;
  };

  const cards = (ids, data) => {
    const rows = new Map(data.videos.map((row) => [row.id, row]));
    return el("div", {}, ...ids.map((id) => card(rows.get(id), data)));
  };

  Report.receive = function (data) {
    document.title = data.title;
    document.getElementById("title").textContent = data.title;
    const { videos, frames } = data.totals;
    document.getElementById("sources").replaceChildren(
      `${Report.count(videos, "video")}, ${Report.count(frames, "frame")}`,
      ...data.sources.map(({ name, value }) => el("span", {}, `${name} `, el("code", {}, value))));
    const sections = [["summary", "Summary", Report.tiles]];
    if (data.scored) {
      sections.push(
        ["scores", "Scores", Report.scoresSection],
        ["curves", "Precision and recall", Report.curvesSection],
      );
    }
    sections.push(["videos", "Videos", Report.videosSection]);
    const [low, high] = data.scored
      ? ["Worst videos", "Best videos"]
      : ["Least confident videos", "Most confident videos"];
    if (data.worst.length) sections.push(["worst", low, () => cards(data.worst, data)]);
    if (data.best.length) sections.push(["best", high, () => cards(data.best, data)]);
    if (data.scored) {
      sections.push(
        ["confusion", "Confusion of categories", Report.confusionSection],
        ["switches", "Identity switches", Report.switchesSection],
      );
    }
    const main = document.getElementById("main");
    const bar = document.getElementById("sections");
    for (const [id, title, build] of sections) {
      bar.append(el("a", { href: `#${id}` }, title));
      main.append(el("section", { id }, el("h2", {}, title), build(data)));
    }
    document.body.classList.add("ready");
  };
}
