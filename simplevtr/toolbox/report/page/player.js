// One video with its true and predicted tracks.
"use strict";

{
  const { el, svg } = Report;
  const KINDS = {
    match: ["found", "good"],
    category: ["wrong category", "bad"],
    crowd: ["crowd", ""],
    alone: ["no match", "bad"],
  };
  let reached = 0; // gives the boxes of all players names of their own

  // In which of the frames a track can be seen, as bars.
  const presence = (masks, colour) => {
    const bars = svg("svg", {
      class: "presence", viewBox: `0 0 ${masks.length} 1`, preserveAspectRatio: "none",
      "aria-hidden": "true",
    });
    for (let t = 0; t < masks.length; t++) {
      if (masks[t] === null) continue;
      let end = t;
      while (end < masks.length && masks[end] !== null) end++;
      const bar = svg("rect", { x: t, y: 0, width: end - t, height: 1 });
      bar.style.fill = colour;
      bars.append(bar);
      t = end;
    }
    return bars;
  };

  Report.Player = class {
    constructor(video, { categories, scored }) {
      Object.assign(this, { video, categories, scored, t: 0, timer: null, labels: true });
      this.images = video.frames.map(() => null);
      this.sides = (scored ? ["true", "predicted"] : ["predicted"]).map((kind) => this.side(kind));
      this.element = el("div", { className: "player" },
        el("div", { className: "sides" }, ...this.sides.map((side) => side.picture)),
        this.controls(),
        el("div", { className: "sides" }, ...this.sides.map((side) => side.list)));
      this.show(0);
    }

    side(kind) {
      const { height, width } = this.video;
      const stage = new Report.Stage(height, width, `${kind} tracks`);
      const tracks = this.video[kind].map((track) => ({
        ...track,
        visible: true,
        label: this.label(track),
      }));
      const rows = tracks.map((track) => this.row(track));
      const all = el("input", { type: "checkbox", checked: true, on: { change: () => {
        for (const row of rows) row.querySelector("input").checked = all.checked;
        for (const track of tracks) track.visible = all.checked;
        this.draw();
      } } });
      const heading = kind === "true" ? "True tracks" : "Predicted tracks";
      const list = el("div", { className: "tracks" },
        tracks.length ? el("label", { className: "all muted" }, all,
          `all ${heading.toLowerCase()}`) : null,
        ...rows,
        kind === "predicted" && this.video.leftOut ? el("p", { className: "muted" },
          `${this.video.leftOut} of lower scores are not shown`) : null,
        tracks.length ? null : el("p", { className: "muted" }, "No tracks"));
      list.dataset.kind = kind;
      const picture = el("figure", {}, el("figcaption", {}, heading), stage.element);
      return { stage, tracks, list, picture };
    }

    label(track) {
      const score = track.score === undefined ? "" : ` ${Math.round(100 * track.score)}%`;
      return `${this.categories[track.category]} #${track.name}${score}`;
    }

    row(track) {
      const id = `track_${reached++}`;
      const colour = Report.colour(track.colour, 50);
      const box = el("input", { type: "checkbox", checked: true, id, on: { change: () => {
        track.visible = box.checked;
        this.draw();
      } } });
      box.style.accentColor = colour;
      let tag = null;
      if (this.scored && track.kind) {
        const [text, className] = KINDS[track.kind];
        const iou = `IoU ${track.iou.toFixed(2)}`;
        const where = track.on === null ? ` · best ${iou}` : ` · ${iou} with #${track.on}`;
        tag = el("span", { className: `tag ${className}` }, text + where);
      }
      return el("div", { className: "track" }, box,
        el("label", { htmlFor: id }, track.label), tag, presence(track.masks, colour));
    }

    controls() {
      const button = (text, label, click) => el("button", {
        type: "button", className: "round", textContent: text, title: label,
        attrs: { "aria-label": label }, on: { click },
      });
      const last = this.images.length - 1;
      this.button = button("▶", "Play", () => (this.timer === null ? this.play() : this.pause()));
      this.range = el("input", {
        type: "range", min: 0, max: last, value: 0, attrs: { "aria-label": "Frame" },
        on: { input: () => { this.pause(); this.show(Number(this.range.value)); } },
      });
      this.place = el("output", { className: "place" });
      this.rate = el("select", { attrs: { "aria-label": "Frames per second" }, on: {
        change: () => { if (this.timer !== null) { this.pause(); this.play(); } },
      } }, ...[1, 2, 5, 10, 15, 25].map((rate) =>
        el("option", { value: rate, selected: rate === 5 }, `${rate} fps`)));
      const labels = el("input", { type: "checkbox", checked: true, on: { change: () => {
        this.labels = labels.checked;
        this.draw();
      } } });
      const grey = el("input", { type: "checkbox", on: { change: () => {
        this.element.classList.toggle("grey", grey.checked);
      } } });
      const step = (by) => { this.pause(); this.show((this.t + by + last + 1) % (last + 1)); };
      return el("div", { className: "controls" },
        button("‹", "Previous frame", () => step(-1)), this.button,
        button("›", "Next frame", () => step(1)), this.range, this.place, this.rate,
        el("label", {}, labels, "labels"), el("label", {}, grey, "grey picture"));
    }

    play() {
      this.button.textContent = "❚❚";
      this.button.setAttribute("aria-label", "Pause");
      this.video.frames.forEach((_, t) => this.image(t));
      this.timer = setInterval(() => {
        const next = (this.t + 1) % this.images.length;
        if (this.image(next).settled) this.show(next); // else wait for it
      }, 1000 / Number(this.rate.value));
    }

    pause() {
      clearInterval(this.timer);
      this.timer = null;
      this.button.textContent = "▶";
      this.button.setAttribute("aria-label", "Play");
    }

    // A frame, which is loaded when it is first asked for.
    image(t) {
      if (this.images[t] === null) {
        const entry = { image: new Image(), settled: false, fine: false };
        const settle = (fine) => () => {
          Object.assign(entry, { settled: true, fine });
          if (this.t === t) this.draw();
        };
        entry.image.addEventListener("load", settle(true));
        entry.image.addEventListener("error", settle(false));
        this.images[t] = entry;
        entry.image.src = Report.framePath(this.video.id, this.video.frames[t]);
      }
      return this.images[t];
    }

    show(t) {
      this.t = t;
      this.image(t);
      this.range.value = t;
      this.place.textContent = `frame ${this.video.frames[t]} of ${this.video.length - 1}`;
      this.draw();
    }

    draw() {
      const { settled, fine, image } = this.image(this.t);
      if (!settled) return; // the masks change together with the picture
      for (const { stage, tracks } of this.sides) {
        const seen = tracks.filter((track) => track.visible && track.masks[this.t] !== null);
        stage.draw(fine ? image : null, seen.map((track) => ({
          mask: track.masks[this.t], colour: track.colour, label: track.label,
        })), { labels: this.labels });
      }
    }
  };
}
