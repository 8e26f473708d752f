// Identity switches: the frames before and after.
"use strict";

{
  const { el } = Report;
  const COLOURS = { old: 4, new: 3 };

  const strip = (event) => {
    const holder = el("div", { className: "strip grey" });
    const draw = () => event.frames.forEach((number, t) => {
      const stage = new Report.Stage(event.height, event.width, `frame ${number}`);
      const image = new Image();
      const paint = (picture) => () => {
        const parts = ["old", "new"].filter((part) => event[part].masks[t] !== null);
        stage.draw(picture, parts.map((part) => ({
          mask: event[part].masks[t], colour: COLOURS[part],
        })), { labels: false });
        stage.outline(event.true.masks[t]);
      };
      image.addEventListener("load", paint(image));
      image.addEventListener("error", paint(null));
      image.src = Report.framePath(event.video, number);
      const side = number <= event.lastFrame ? "before" : "after";
      holder.append(el("figure", { className: side },
        el("figcaption", {}, `frame ${number}`, el("span", { className: "muted" }, side)),
        stage.element));
    });
    Report.whenNear(holder, draw);
    return holder;
  };

  const key = (colour, text) => {
    const mark = el("span", { className: "key" });
    mark.style.background = colour;
    return el("span", { className: "entry" }, mark, text);
  };

  Report.switchesSection = function (data) {
    const names = new Map(data.videos.map((video) => [video.id, video.name]));
    const named = (part) =>
      `${data.categories[part.category]} ${Math.round(100 * part.score)}%`;
    const cards = data.switches.map((event) => el("article", { className: "card switch" },
      el("div", { className: "spread" },
        el("h3", {}, names.get(event.video)),
        el("span", { className: "muted" }, `between frames ${event.lastFrame} and ${event.frame}`)),
      el("p", { className: "legend" },
        key("#fff", `true: ${data.categories[event.true.category]}`),
        key(Report.colour(COLOURS.old, 52), `old: ${named(event.old)}`),
        key(Report.colour(COLOURS.new, 52), `new: ${named(event.new)}`)),
      strip(event)));
    const total = data.totals.switches;
    const shown = cards.length < total ? ` ${cards.length} of them are shown.` : "";
    return el("div", {},
      el("p", { className: "lead muted" }, total
        ? `${Report.count(total, "time", "times")} the predicted track that lies on a true one ` +
          `is another one than before.${shown}`
        : "No true track goes over from one predicted track to another."),
      ...cards);
  };
}
