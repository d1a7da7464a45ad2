// The answers of an InfluxDB as the data frames of Grafana's InfluxDB data source (InfluxQL): one frame of all
// rows with `resultFormat` "table", otherwise one frame for each column of each series.
import { FieldType, toDataFrame } from "@grafana/data";

export async function answerOf(source, query) {
  const body = new URLSearchParams({ q: query, db: source.database, epoch: "ms" });
  const headers = source.token ? { Authorization: `Token ${source.token}` } : {};
  const answer = await fetch(`${source.url}/query`, { method: "POST", body, headers });
  const [result] = (await answer.json()).results ?? [{ error: `status ${answer.status}` }];
  if (result.error) throw new Error(`${result.error}: ${query}`);
  return result.series ?? [];
}

export function framesOf(series, target) {
  if (!series.length) return [];
  return target.resultFormat === "table" ? [table(series, target)] : series.flatMap((one) => lines(one, target));
}

function table(series, target) {
  const [first] = series;
  const rows = series.flatMap((one) => one.values.map((row) => [one, row]));
  const fields = first.columns.map((name, at) => {
    const values = rows.map(([, row]) => row[at]);
    return name === "time" ? timeField(values) : valueField(name, name, values);
  });
  const tags = Object.keys(first.tags ?? {}).map((name) =>
    valueField(name, name, rows.map(([one]) => one.tags[name]), {}, FieldType.string),
  );
  fields.splice(1, 0, ...tags);
  return toDataFrame({ name: first.name, refId: target.refId, fields });
}

function lines(one, target) {
  const time = one.columns.indexOf("time");
  return one.columns.flatMap((column, at) => {
    if (at === time) return [];
    const name = lineName(one, column, target.alias);
    const values = one.values.map((row) => row[at]);
    const fields = [timeField(one.values.map((row) => row[time])), valueField("Value", name, values, one.tags)];
    return [toDataFrame({ name, refId: target.refId, fields })];
  });
}

function lineName(one, column, alias) {
  const tags = one.tags ?? {};
  if (!alias) return `${one.name}.${column} { ${Object.entries(tags).map(([k, v]) => `${k}: ${v}`).join(", ")} }`;
  return alias.replace(/\$(\w+)|\[\[([\s\S]+?)\]\]/g, (whole, plain, inner) => {
    const name = plain ?? inner;
    if (name === "m" || name === "measurement") return one.name;
    if (name === "col") return column;
    return name.startsWith("tag_") ? (tags[name.slice(4)] ?? whole) : whole;
  });
}

function timeField(values) {
  return { name: "Time", type: FieldType.time, values, config: {} };
}

function valueField(name, shown, values, labels, type) {
  const kinds = { string: FieldType.string, boolean: FieldType.boolean };
  type ??= kinds[typeof values.find((value) => value !== null)] ?? FieldType.number;
  return { name, type, values, labels, config: { displayNameFromDS: shown } };
}
