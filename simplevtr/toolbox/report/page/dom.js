// Building pages: elements, numbers and scripts that are loaded when they are needed.
// Text from data is only ever set as text, never as markup.
"use strict";

const Report = {};

// An element with properties, attributes (in `attrs`), listeners (`on`) and children.
Report.el = function (tag, options = {}, ...children) {
  return Report.fill(document.createElement(tag), options, children);
};

Report.svg = function (tag, attrs = {}, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  return Report.fill(node, { attrs }, children);
};

Report.fill = function (node, { attrs = {}, on = {}, ...properties }, children) {
  Object.assign(node, properties);
  for (const [name, value] of Object.entries(attrs)) {
    if (value !== null && value !== undefined) node.setAttribute(name, value);
  }
  for (const [name, listener] of Object.entries(on)) node.addEventListener(name, listener);
  node.append(...children.filter((child) => child !== null));
  return node;
};

Report.number = function (value, digits = 1) {
  return value === null || value === undefined ? "–" : value.toFixed(digits);
};

Report.count = function (value, one, many) {
  return `${value.toLocaleString("en")} ${value === 1 ? one : many || one + "s"}`;
};

// Far apart for numbers near each other; the lightness fits fills over pictures.
Report.colour = function (index, lightness = 58) {
  const hue = (212 + index * 137.508) % 360;
  return `hsl(${hue.toFixed(1)} ${index % 3 === 2 ? 60 : 85}% ${lightness}%)`;
};

// The same as red, green and blue from 0 to 255; a canvas knows how to convert.
const probe = document.createElement("canvas").getContext("2d");

Report.rgb = function (index) {
  probe.fillStyle = Report.colour(index);
  const code = parseInt(probe.fillStyle.slice(1), 16);
  return [code >> 16, (code >> 8) & 255, code & 255];
};

// Runs `work` once, when the element comes near the visible part of the page.
Report.whenNear = function (element, work) {
  const observer = new IntersectionObserver((entries) => {
    if (entries.some((entry) => entry.isIntersecting)) {
      observer.disconnect();
      work();
    }
  }, { rootMargin: "600px" });
  observer.observe(element);
};

// Data of single videos comes in scripts, as pages opened from disk may not fetch files.
const waiting = new Map();

Report.loadVideo = function (id) {
  return new Promise((resolve, reject) => {
    waiting.set(id, resolve);
    const script = Report.el("script", { src: `videos/${id}.js` });
    script.addEventListener("error", () => reject(new Error(`videos/${id}.js is missing`)));
    document.head.append(script);
  });
};

Report.receiveVideo = function (data) {
  waiting.get(data.id)(data);
  waiting.delete(data.id);
};

Report.framePath = (video, number) => `frames/${video}/${number}.jpg`;
