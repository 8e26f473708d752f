// COCO's run-length encoded masks.
"use strict";

// The run lengths in the text of a compressed RLE, background first, down the columns.
Report.runs = function (counts) {
  const runs = [];
  for (let place = 0; place < counts.length; ) {
    let value = 0;
    let unit = 1;
    for (let more = true; more; place++) {
      const code = counts.charCodeAt(place) - 48;
      value += (code & 31) * unit; // not shifted: numbers may have more than 32 bits
      unit *= 32;
      more = (code & 32) !== 0;
      if (!more && code & 16) value -= unit;
    }
    if (runs.length > 2) value += runs[runs.length - 2];
    runs.push(value);
  }
  return runs;
};

// The pixels of a mask, column by column: 0 or 1.
Report.pixels = function (counts, height, width) {
  const pixels = new Uint8Array(height * width);
  let place = 0;
  let inside = false;
  for (const run of Report.runs(counts)) {
    if (inside) pixels.fill(1, place, place + run);
    place += run;
    inside = !inside;
  }
  return pixels;
};
