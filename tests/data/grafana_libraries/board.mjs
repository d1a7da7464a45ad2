// One of our boards in the code that Grafana runs: @grafana/scenes for variables and texts, @grafana/data for
// transformations, overrides, mappings, units and links. Returns what each panel shows; Python judges it.
import * as data from "@grafana/data";
import * as runtime from "@grafana/runtime";
import * as scenes from "@grafana/scenes";
import { firstValueFrom, map } from "rxjs";
import { answerOf, framesOf } from "./influx.mjs";

const MOST_ROWS = 700;
const THEME = data.createTheme({ colors: { mode: "dark" } });
const PROCESSORS = {
  unit: data.unitOverrideProcessor,
  noValue: data.stringOverrideProcessor,
  displayName: data.displayNameOverrideProcessor,
  decimals: data.numberOverrideProcessor,
  min: data.numberOverrideProcessor,
  max: data.numberOverrideProcessor,
  mappings: data.valueMappingsOverrideProcessor,
  thresholds: data.thresholdsOverrideProcessor,
  links: data.dataLinksOverrideProcessor,
};

export function start() {
  // Grafana 10 does so when it starts.
  data.patchArrayVectorProrotypeMethods?.();
  const byId = new Map(Object.values(data.standardTransformers).map((info) => [info.id, info]));
  byId.set("configFromData", { id: "configFromData", name: "Config from query results", operator: configFromData });
  data.standardTransformersRegistry.setInit(() =>
    [...byId.values()].map((info) => ({ id: info.id, name: info.name, transformation: transformation(info) })),
  );
}

// Grafana 13 calls it when it is used first; older ones read its properties.
function transformation(info) {
  const { operator, defaultOptions } = info;
  return Object.assign(async () => info, { operator, defaultOptions });
}

// Grafana has it outside the libraries that it publishes. This does what boards use of it, by its description: the
// rows of one query become texts of a column of the others, which lose their names; alone, they are shown as rows.
function configFromData({ configRefId, mappings, applyTo }) {
  return (source) =>
    source.pipe(
      map((frames) => {
        const told = frames.find((frame) => frame.refId === configRefId);
        if (!told) return frames;
        const column = (key) => told.fields.find(({ name }) => name === mappings.find((one) => one.handlerKey === key).fieldName);
        const [ids, texts] = ["mappings.value", "mappings.text"].map((key) => valuesOf(column(key) ?? { values: [] }));
        const options = Object.fromEntries(ids.map((id, index) => [id, { text: texts[index], index }]));
        const applies = data.fieldMatchers.get(applyTo.id).get(applyTo.options);
        const changed = (field) => ({ ...field, config: { ...field.config, mappings: [{ type: "value", options }] } });
        return frames
          .filter((frame) => frame !== told || frames.length === 1)
          .map(({ fields, length }) => ({ length, fields: fields.map((field) => (applies(field) ? changed(field) : field)) }));
      }),
    );
}

export async function showBoard(document, source, range, choices = {}) {
  useSource(source);
  drawable.length = 0;
  const variables = document.templating.list.map((one) => variableOf(one, choices));
  const time = (ms) => new Date(ms).toISOString();
  const scene = new scenes.EmbeddedScene({
    $timeRange: new scenes.SceneTimeRange({ from: time(range.from), to: time(range.to) }),
    $variables: new scenes.SceneVariableSet({ variables }),
    body: new scenes.SceneFlexLayout({ children: [] }),
  });
  const stop = scene.activate();
  try {
    await settled(scene, variables);
    const panels = document.panels.flatMap((panel) => (panel.type === "row" ? panel.panels : [panel]));
    const shown = [];
    for (const panel of panels) {
      for (const scoped of repeatsOf(panel, variables)) shown.push(await showPanel(panel, scene, source, range, scoped));
    }
    return { variables: variables.map(variableShown), panels: shown };
  } finally {
    stop();
  }
}

function useSource(source) {
  const instance = {
    uid: "influxdb",
    type: "influxdb",
    getRef: () => ({ uid: "influxdb" }),
    async metricFindQuery(query, { scopedVars }) {
      const scene = scopedVars.__sceneObject.value;
      const text = scenes.sceneGraph.interpolate(scene.valueOf?.() ?? scene, query, scopedVars);
      const series = await answerOf(source, text);
      const values = series.flatMap((one) => one.values.map((row) => String(row[1])));
      return [...new Set(values)].map((value) => ({ text: value, value }));
    },
  };
  runtime.setDataSourceSrv({
    get: async () => instance,
    getInstanceSettings: () => ({ uid: "influxdb", type: "influxdb", name: "Towpath" }),
    getList: () => [],
    reload() {},
  });
  data.locationUtil.initialize({
    config: { appSubUrl: "" },
    getTimeRangeForUrl: () => ({}),
    getVariablesUrlParams: () => ({}),
  });
}

function variableOf(one, choices) {
  const shared = { name: one.name, label: one.label, hide: one.hide, skipUrlSync: one.skipUrlSync };
  const { text, value } = one.current ?? {};
  const chosen = one.name in choices ? { value: choices[one.name], text: choices[one.name] } : { value, text };
  switch (one.type) {
    case "query":
      return new scenes.QueryVariable({
        ...shared,
        ...chosen,
        query: one.query,
        datasource: one.datasource,
        regex: one.regex,
        sort: one.sort,
        refresh: one.refresh,
        isMulti: one.multi,
        includeAll: one.includeAll,
        allValue: one.allValue ?? undefined,
        definition: one.definition,
        defaultToAll: Boolean(one.includeAll),
      });
    case "custom":
      return new scenes.CustomVariable({ ...shared, ...chosen, query: one.query, isMulti: one.multi, includeAll: one.includeAll });
    case "textbox":
      return new scenes.TextBoxVariable({ ...shared, value: choices[one.name] ?? one.query });
    case "constant":
      return new scenes.ConstantVariable({ ...shared, value: one.query });
  }
  throw new Error(`variable of type ${one.type}`);
}

async function settled(scene, variables) {
  const set = scene.state.$variables;
  const loads = (one) => one.state.loading || set.isVariableLoadingOrWaitingToUpdate(one);
  for (let left = 3000; left && variables.some(loads); left--) await new Promise((done) => setTimeout(done, 10));
  const late = variables.filter(loads);
  if (late.length) throw new Error(`variables that never load: ${late.map((one) => one.state.name)}`);
}

function variableShown({ state }) {
  const options = (state.options ?? []).map(({ label, value }) => ({ text: label, value }));
  const error = state.error ? String(state.error.message ?? state.error) : "";
  return { name: state.name, value: state.value, text: state.text, options: options.slice(0, MOST_ROWS), error };
}

function repeatsOf(panel, variables) {
  if (!panel.repeat) return [{}];
  const { state } = variables.find((one) => one.state.name === panel.repeat);
  const all = [state.value].flat().includes("$__all");
  const chosen = all ? state.options : [state.value].flat().map((value, n) => ({ value, label: [state.text].flat()[n] }));
  return chosen.map(({ value, label }) => ({ [panel.repeat]: { value, text: label } }));
}

async function showPanel(panel, scene, source, range, scoped) {
  const fill = (text, more, format) => scenes.sceneGraph.interpolate(scene, text, { ...scoped, ...more }, format);
  const shown = { id: panel.id, kind: panel.type, title: fill(panel.title), links: [], frames: [], tiles: [] };
  shown.links = (panel.links ?? []).map((link) => data.locationUtil.processUrl(fill(link.url)));
  if (!panel.targets) return shown;
  try {
    const raw = await framesOfPanel(panel, source, range, fill);
    const changed = await firstValueFrom(
      data.transformDataFrame(panel.transformations ?? [], raw, { interpolate: (text) => fill(text) }),
    );
    const registry = registryOf(panel);
    const timeZone = "utc";
    const options = { fieldConfig: panel.fieldConfig, replaceVariables: fill, theme: THEME, timeZone };
    const frames = data.applyFieldOverrides({ ...options, data: changed, fieldConfigRegistry: registry });
    const settings = new Set((panel.transformations ?? []).map(({ options }) => options.configRefId));
    shown.rows = raw.reduce((sum, frame) => sum + (settings.has(frame.refId) ? 0 : frame.length), 0);
    shown.answered = [...new Set(raw.map((frame) => frame.refId))];
    shown.unmatched = unmatchedOverrides(panel, changed, frames);
    shown.columns = [...new Set(changed.flatMap((frame) => frame.fields.map((field) => field.name)))];
    shown.frames = frames.map((frame) => frameShown(frame, frames));
    const { reduceOptions } = panel.options ?? {};
    if (reduceOptions) {
      shown.tiles = data
        .getFieldDisplayValues({ ...options, data: frames, reduceOptions })
        .map(({ display, getLinks }) => ({ ...valueShown(display), title: display.title ?? "", links: (getLinks?.() ?? []).map(linkShown) }));
    }
    drawable.push({ panel: { ...panel, title: shown.title }, frames, options, span: range });
  } catch (error) {
    shown.error = String(error.message ?? error);
  }
  return shown;
}

// What `pictures.mjs` draws of the last board: it needs the frames themselves.
export const drawable = [];

async function framesOfPanel(panel, source, range, fill) {
  const from = panel.timeFrom ? range.to - milliseconds(panel.timeFrom) : range.from;
  const span = { from: data.dateTime(from), to: data.dateTime(range.to) };
  const { interval, intervalMs } = data.rangeUtil.calculateInterval(span, panel.maxDataPoints, panel.interval);
  const more = { __interval: { value: interval }, __interval_ms: { value: intervalMs } };
  const frames = [];
  for (const target of panel.targets) {
    const text = fill(target.query, more)
      .replaceAll("$timeFilter", `time >= ${from}ms and time <= ${range.to}ms`)
      .replaceAll("${__from}", from)
      .replaceAll("${__to}", range.to);
    frames.push(...framesOf(await answerOf(source, text), { ...target, alias: fill(target.alias) }));
  }
  return frames;
}

function milliseconds(text) {
  return data.rangeUtil.intervalToMs(text);
}

function registryOf(panel) {
  const ids = new Set(Object.keys(PROCESSORS).concat("color"));
  const { defaults, overrides } = panel.fieldConfig;
  for (const name of Object.keys(defaults.custom ?? {})) ids.add(`custom.${name}`);
  for (const override of overrides) for (const { id } of override.properties) ids.add(id);
  return new data.Registry(() =>
    [...ids].map((id) => ({
      id,
      name: id,
      path: id.replace(/^custom\./, ""),
      isCustom: id.startsWith("custom."),
      process: PROCESSORS[id] ?? data.identityOverrideProcessor,
      shouldApply: (field) => !["thresholds", "color"].includes(id) || field.type !== data.FieldType.time,
      override: () => null,
      editor: () => null,
      settings: {},
    })),
  );
}

function unmatchedOverrides(panel, changed) {
  const texts = new Set(changed.flatMap((frame) => frame.fields.flatMap(valuesOf)));
  return panel.fieldConfig.overrides
    .filter(({ matcher }) => {
      const matches = data.fieldMatchers.get(matcher.id).get(matcher.options);
      const isName = matcher.id === "byName" && texts.has(matcher.options);
      return !isName && !changed.some((frame) => frame.fields.some((field) => matches(field, frame, changed)));
    })
    .map(({ matcher }) => matcher.options);
}

function frameShown(frame, frames) {
  const length = Math.min(frame.length, MOST_ROWS);
  const cells = (field) =>
    valuesOf(field)
      .slice(0, length)
      .map((raw, n) => ({
        raw: raw ?? null,
        ...valueShown(field.display(raw)),
        links: (field.getLinks?.({ valueRowIndex: n }) ?? []).map(linkShown),
      }));
  return {
    name: frame.name,
    refId: frame.refId,
    length: frame.length,
    fields: frame.fields.map((field) => ({
      name: field.name,
      title: data.getFieldDisplayName(field, frame, frames),
      type: field.type,
      unit: field.config.unit ?? "",
      labels: field.labels ?? {},
      custom: field.config.custom ?? {},
      texts: textsOf(field.config.mappings ?? []),
      cells: cells(field),
    })),
  };
}

// Before Grafana 10 they were no array.
function valuesOf(field) {
  return field.values.toArray ? field.values.toArray() : field.values;
}

// Value → the text and the colour that it is to have.
function textsOf(mappings) {
  const values = mappings.filter((one) => one.type === "value").map((one) => Object.entries(one.options));
  return Object.fromEntries(values.flat().map(([value, { text, color }]) => [value, { text, color: hex(color) }]));
}

function hex(color) {
  return color ? data.colorManipulator.asHexString(THEME.visualization.getColorByName(color)) : "";
}

const linkShown = ({ href, title }) => ({ href, title });

function valueShown(display) {
  return { text: data.formattedValueToString(display), color: display.color ? hex(display.color) : "" };
}

export function unknownUnits(units) {
  const known = new Set(data.getValueFormats().flatMap((group) => group.submenu.map((one) => one.value)));
  return units.filter((unit) => unit && !known.has(unit) && !/^(suffix|prefix|time|currency|si|count|bool):/.test(unit));
}
