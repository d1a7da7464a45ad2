// Draws what `board.mjs` has shown last with the components of @grafana/ui, in the places of a board. What these
// do not have is drawn plainly: state timelines and stacked bars as coloured boxes, nothing for maps and texts.
import * as data from "@grafana/data";
import * as ui from "@grafana/ui";
import { TableNG } from "@grafana/ui/unstable";
import { createElement as h } from "react";
import { createRoot } from "react-dom/client";
import * as board from "./board.mjs";

const [ROW, GAP, TITLE] = [30, 8, 32];
const THEME = data.createTheme({ colors: { mode: "dark" } });

board.start();
window.boards = { ...board, drawBoard, drawn };

async function drawBoard(width) {
  document.body.replaceChildren();
  const holder = document.body.appendChild(document.createElement("div"));
  const placed = place(board.drawable, width);
  const bottom = Math.max(...placed.map(({ top, height }) => top + height)) + GAP;
  const page = { position: "relative", width, height: bottom, background: THEME.colors.background.canvas };
  createRoot(holder).render(
    h(
      data.ThemeContext.Provider,
      { value: THEME },
      h(ui.GlobalStyles),
      h("div", { style: page }, placed.map((one, n) => h(Box, { key: n, ...one }))),
    ),
  );
  return bottom;
}

// Components measure themselves before they draw.
function drawn() {
  return new Promise((done) => setTimeout(done, 2000 + 100 * board.drawable.length));
}

// Panels that have answered, from top to bottom without the room of the others.
function place(shown, width) {
  const column = width / 24;
  const rows = Map.groupBy(shown, ({ panel }) => panel.gridPos.y);
  let top = GAP;
  return [...rows.entries()].flatMap(([, ones]) => {
    const boxes = ones.map((one) => ({
      ...one,
      top,
      left: one.panel.gridPos.x * column + GAP / 2,
      width: one.panel.gridPos.w * column - GAP,
      height: one.panel.gridPos.h * (ROW + GAP) - GAP,
    }));
    top += Math.max(...boxes.map(({ height }) => height)) + GAP;
    return boxes;
  });
}

function Box({ panel, frames, options, span, top, left, width, height }) {
  const style = {
    position: "absolute",
    ...{ top, left, width, height },
    background: THEME.colors.background.primary,
    border: `1px solid ${THEME.colors.border.weak}`,
    overflow: "hidden",
  };
  const room = { width: width - 18, height: height - TITLE - 10 };
  const title = h("div", { style: { padding: "6px 8px", height: TITLE, fontWeight: 500 } }, panel.title);
  return h("div", { style }, title, h("div", { style: { padding: "0 8px" } }, content(panel, frames, options, span, room)));
}

function content(panel, frames, options, span, room) {
  const rows = frames.reduce((sum, frame) => sum + frame.length, 0);
  const isOfValues = ["stat", "bargauge", "gauge"].includes(panel.type);
  if (!rows && !isOfValues) return h("div", { style: { textAlign: "center" } }, panel.fieldConfig?.defaults.noValue);
  switch (panel.type) {
    case "table":
      return table(panel, frames[0], room);
    case "timeseries":
      return graph(panel, frames, span, room);
    case "state-timeline":
      return timeline(frames, room);
    case "stat":
    case "bargauge":
    case "gauge":
      return values(panel, frames, options, room);
    case "barchart":
      return bars(frames[0], room);
  }
  return panel.type;
}

function table(panel, frame, room) {
  const { sortBy, cellHeight } = panel.options;
  const noValue = panel.fieldConfig.defaults.noValue;
  return h(TableNG, { ...room, data: frame, initialSortBy: sortBy, sortBy, cellHeight, noValue, fieldConfig: panel.fieldConfig });
}

function graph(panel, frames, span, room) {
  const timeRange = { from: data.dateTime(span.from), to: data.dateTime(span.to), raw: span };
  const { legend } = panel.options;
  const context = { eventBus: new data.EventBusSrv(), sync: () => 0, eventsScope: "" };
  const plot = h(ui.TimeSeries, { ...room, frames, timeRange, timeZone: "utc", legend });
  return h(ui.PanelContextProvider, { value: context }, plot);
}

function values(panel, frames, options, room) {
  const { reduceOptions, graphMode, colorMode, textMode, orientation } = panel.options;
  const shown = data.getFieldDisplayValues({ ...options, data: frames, reduceOptions, sparkline: graphMode === "area" });
  const isGauge = panel.type !== "stat";
  return h(ui.VizRepeater, {
    ...room,
    getValues: () => shown,
    source: frames,
    renderCounter: 1,
    orientation: isGauge ? "horizontal" : (orientation ?? "auto"),
    autoGrid: !isGauge,
    minVizHeight: 16,
    renderValue: ({ value, width, height, count }) =>
      isGauge
        ? h(ui.BarGauge, { value: value.display, field: value.field, width, height, theme: THEME, orientation: "horizontal", displayMode: "basic", showUnfilled: true })
        : h(ui.BigValue, { value: value.display, sparkline: value.sparkline, width, height, count, colorMode, graphMode, textMode, theme: THEME, justifyMode: "auto" }),
  });
}

function timeline(frames, room) {
  const fields = frames.flatMap((frame) => frame.fields.filter((field) => field.type !== "time").map((field) => [field, frame]));
  const each = Math.min(28, room.height / fields.length);
  return fields.map(([field, frame], n) =>
    h(
      "div",
      { key: n, style: { display: "flex", height: each, overflow: "hidden" } },
      h("div", { style: { width: 170, flex: "none" } }, data.getFieldDisplayName(field, frame, frames)),
      h("div", { style: { flex: 1, display: "flex" } }, Array.from(field.values, (value, at) => box(field, value, at))),
    ),
  );
}

function box(field, value, key, flex = 1) {
  const { color, text } = field.display(value);
  const background = value === null ? "transparent" : color;
  return h("div", { key, title: text, style: { flex, background, margin: "3px 0" } });
}

function bars(frame, room) {
  const [name, ...figures] = frame.fields.filter((field) => !field.config.custom?.hidden && !field.config.custom?.hideFrom?.viz);
  return Array.from(name.values, (value, n) =>
    h(
      "div",
      { key: n, style: { display: "flex", height: Math.min(30, room.height / frame.length) } },
      h("div", { style: { width: 170, flex: "none" } }, name.display(value).text),
      figures.filter(({ type }) => type === "number").map((field, at) => box(field, field.values[n], at, field.values[n] ?? 0)),
    ),
  );
}
