// A frame and the masks over it, on two canvases.
"use strict";

{
  const { el } = Report;
  const WIDTH = 480;

  // Where each pixel of the canvas lies in the mask, along one side.
  const places = (size, maskSize) =>
    Int32Array.from({ length: size }, (_, i) => Math.floor((i + 0.5) * maskSize / size));

  Report.Stage = class {
    // height, width: of the masks; frames may be smaller.
    constructor(height, width, label) {
      const shown = Math.min(width, WIDTH);
      const zoom = Math.max(1, Math.floor(WIDTH / shown));
      this.mask = { height, width };
      this.width = shown * zoom;
      this.height = Math.max(1, Math.round(height * this.width / width));
      const canvas = (name) => el("canvas", {
        width: this.width, height: this.height, className: name,
      });
      this.picture = canvas("picture");
      this.overlay = canvas("overlay");
      this.overlay.setAttribute("role", "img");
      this.overlay.setAttribute("aria-label", label);
      this.element = el("div", { className: "stage" }, this.picture, this.overlay);
      this.element.style.maxWidth = `calc(75vh * ${width / height})`; // fits into the window
      this.columns = places(this.width, width);
      this.rows = places(this.height, height);
    }

    // image: loaded, or null for none. tracks: {mask (counts), colour, label}; absent ones left out.
    draw(image, tracks, { labels = true } = {}) {
      const context = this.picture.getContext("2d");
      context.clearRect(0, 0, this.width, this.height);
      if (image) context.drawImage(image, 0, 0, this.width, this.height);
      const found = tracks.map((track) => this.sample(track)).filter((track) => track.area);
      // Small ones on top of large ones, and of equal ones the first, which has the best score.
      this.paint([...found].reverse().sort((a, b) => b.area - a.area));
      if (labels) this.write(found);
    }

    // The mask at the canvas's pixels.
    sample(track) {
      const { height, width } = this.mask;
      const pixels = Report.pixels(track.mask, height, width);
      const inside = new Uint8Array(this.width * this.height);
      const found = { ...track, inside, area: 0, left: this.width, top: this.height, right: 0 };
      for (let j = 0; j < this.width; j++) {
        const column = this.columns[j] * height;
        for (let i = 0; i < this.height; i++) {
          if (!pixels[column + this.rows[i]]) continue;
          inside[i * this.width + j] = 1;
          found.area++;
          found.left = Math.min(found.left, j);
          found.right = Math.max(found.right, j);
          found.top = Math.min(found.top, i);
        }
      }
      return found;
    }

    paint(tracks) {
      const { width, height } = this;
      const image = new ImageData(width, height);
      const owner = new Uint16Array(width * height);
      tracks.forEach((track, k) => {
        for (let p = 0; p < owner.length; p++) if (track.inside[p]) owner[p] = k + 1;
      });
      const colours = tracks.map((track) => Report.rgb(track.colour));
      for (let p = 0; p < owner.length; p++) {
        const k = owner[p];
        if (!k) continue;
        const j = p % width;
        // Two pixels wide; over the sides of the picture there is no owner, so none is `k`.
        const edge = [1, 2].some((by) => j < by || j >= width - by || owner[p - by] !== k ||
          owner[p + by] !== k || owner[p - by * width] !== k || owner[p + by * width] !== k);
        image.data.set(colours[k - 1], 4 * p);
        image.data[4 * p + 3] = edge ? 255 : 110;
      }
      this.overlay.getContext("2d").putImageData(image, 0, 0);
    }

    // The border of a mask as a white line over what is drawn, dark beside it.
    outline(mask) {
      if (mask === null) return;
      const { inside } = this.sample({ mask });
      const { width, height } = this;
      const at = (i, j) => i >= 0 && j >= 0 && i < height && j < width && inside[i * width + j];
      const context = this.overlay.getContext("2d");
      for (const [colour, size] of [["rgb(0 0 0 / 60%)", 5], ["#fff", 3]]) {
        context.fillStyle = colour;
        for (let i = 0; i < height; i++) {
          for (let j = 0; j < width; j++) {
            if (!at(i, j) || (at(i - 1, j) && at(i + 1, j) && at(i, j - 1) && at(i, j + 1))) continue;
            context.fillRect(j - (size >> 1), i - (size >> 1), size, size);
          }
        }
      }
    }

    write(tracks) {
      const context = this.overlay.getContext("2d");
      context.font = "600 14px system-ui, sans-serif";
      context.textBaseline = "middle";
      const taken = [];
      for (const track of tracks) {
        const wide = Math.ceil(context.measureText(track.label).width) + 10;
        const left = Math.max(0, Math.min((track.left + track.right - wide) / 2,
          this.width - wide));
        let top = Math.max(0, track.top - 21);
        const hit = () => taken.some((box) => left < box.right && left + wide > box.left &&
          top < box.top + 20 && top + 20 > box.top);
        while (hit() && top + 40 < this.height) top += 20;
        taken.push({ left, right: left + wide, top });
        context.fillStyle = "rgb(12 16 22 / 78%)";
        context.beginPath();
        context.roundRect(left, top, wide, 19, 4);
        context.fill();
        context.fillStyle = Report.colour(track.colour, 72);
        context.fillText(track.label, left + 5, top + 10);
      }
    }
  };
}
