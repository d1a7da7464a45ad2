// Describes the types of one version of @grafana/schema (Apache-2.0) as JSON: the names of fields, what they
// hold, and whether they are required. usage: node describe.mjs PACKAGE_FOLDER TYPESCRIPT_FOLDER
//
// A type is "string", "number", "boolean", "null", "any", "#Name" (a type of the same file), or one of
// {"fields": {"name": type, "optional?": type}}, {"list": type}, {"map": type}, {"values": […]},
// {"either": [type, …]}.
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const [folder, typescript] = process.argv.slice(2);
const ts = createRequire(import.meta.url)(typescript);
const PANELS = ["barchart", "bargauge", "gauge", "geomap", "stat", "statetimeline", "table", "text", "timeseries"];
const KINDS = { statetimeline: "state-timeline" };
// Grafana 9 publishes the parts of panels only.
const PARTS = {
  timeseries: { custom: "GraphFieldConfig", options: "OptionsWithLegend" },
  table: { custom: "TableFieldOptions" },
  stat: { options: "SingleStatBaseOptions" },
};

const types = [join(folder, "dist/types"), join(folder, "dist/esm"), join(folder, "dist")].find((place) =>
  existsSync(join(place, "index.d.ts")),
);
const index = [join(types, "index.d.ts"), join(folder, "dist/index.d.ts")].find(existsSync);
const dashboards = files(join(types, "raw/dashboard"));
const panels = Object.fromEntries(
  PANELS.map((name) => [name, files(join(types, `raw/composable/${name}/panelcfg`))]),
);
const program = ts.createProgram([index, ...dashboards, ...Object.values(panels).flat()], {
  strict: true,
  noEmit: true,
  skipLibCheck: true,
  module: ts.ModuleKind.ESNext,
  moduleResolution: ts.ModuleResolutionKind.Bundler,
  baseUrl: ".",
  paths: { "@grafana/schema": [index], "@grafana/data": [index] },
});
const checker = program.getTypeChecker();
const described = {};
const result = {
  version: JSON.parse(readFileSync(join(folder, "package.json"), "utf8")).version,
  dashboard: root([...dashboards, index], "Dashboard"),
  panel: root([...dashboards, index], "Panel") ?? root([index], "Panel$1"),
  fieldConfig: root([...dashboards, index], "FieldConfig") ?? root([index], "FieldConfig$1"),
  variable: root([...dashboards, index], "VariableModel"),
  annotation: root([...dashboards, index], "AnnotationQuery"),
  link: root([...dashboards, index], "DashboardLink"),
  panels: {},
};
for (const name of PANELS) {
  const parts = PARTS[name] ?? {};
  const options = root(panels[name], "Options") ?? root([index], parts.options);
  const custom = root(panels[name], "FieldConfig") ?? root([index], parts.custom);
  const entry = Object.fromEntries(Object.entries({ options, custom }).filter(([, type]) => type));
  if (Object.keys(entry).length) result.panels[KINDS[name] ?? name] = entry;
}
result.types = Object.fromEntries(Object.entries(described).sort(([a], [b]) => (a < b ? -1 : 1)));
console.log(JSON.stringify(result));

function files(place) {
  if (!existsSync(place)) return [];
  return readdirSync(place, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".d.ts"))
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name));
}

function root(paths, name) {
  for (const path of paths) {
    const source = program.getSourceFile(path);
    const module = source && checker.getSymbolAtLocation(source);
    const found = module && checker.getExportsOfModule(module).find((symbol) => symbol.name === name);
    if (found) return describe(checker.getDeclaredTypeOfSymbol(found));
  }
  return undefined;
}

function describe(type) {
  const { flags } = type;
  if (flags & ts.TypeFlags.EnumLiteral && flags & ts.TypeFlags.Union) {
    return { values: type.types.map((literal) => literal.value) };
  }
  if (flags & (ts.TypeFlags.StringLiteral | ts.TypeFlags.NumberLiteral)) return { values: [type.value] };
  if (flags & ts.TypeFlags.StringLike) return "string";
  if (flags & ts.TypeFlags.NumberLike) return "number";
  if (flags & ts.TypeFlags.Boolean) return "boolean";
  if (flags & ts.TypeFlags.BooleanLiteral) return { values: [type.intrinsicName === "true"] };
  if (flags & ts.TypeFlags.Null) return "null";
  if (flags & ts.TypeFlags.Union) return either(type.types.filter((part) => !(part.flags & ts.TypeFlags.Undefined)));
  if (flags & (ts.TypeFlags.Object | ts.TypeFlags.Intersection)) return object(type);
  return "any";
}

function either(parts) {
  const choices = [];
  const values = [];
  for (const part of parts.map(describe)) {
    if (part.values) values.push(...part.values);
    else if (!choices.some((choice) => JSON.stringify(choice) === JSON.stringify(part))) choices.push(part);
  }
  if (values.length === 2 && values.includes(true) && values.includes(false)) choices.push("boolean");
  else if (values.length) choices.push({ values });
  if (choices.includes("any")) return "any";
  return choices.length === 1 ? choices[0] : { either: choices };
}

function object(type) {
  if (checker.isArrayType(type)) return { list: describe(checker.getTypeArguments(type)[0]) };
  if (type.getCallSignatures().length) return "any";
  const name = type.aliasSymbol?.name ?? type.symbol?.name;
  const properties = checker.getPropertiesOfType(type);
  const index = checker.getIndexInfoOfType(type, ts.IndexKind.String) ?? type.getStringIndexType?.();
  if (!properties.length) return index?.type ? { map: describe(index.type) } : "any";
  const isNamed = name && !name.startsWith("__") && name !== "Options" && name !== "FieldConfig" && name !== "Panel";
  if (isNamed && described[name]) return `#${name}`;
  // Set before its fields, which may refer to it.
  if (isNamed) described[name] = { fields: {} };
  const fields = {};
  for (const property of properties.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const isOptional = property.flags & ts.SymbolFlags.Optional;
    fields[property.name + (isOptional ? "?" : "")] = describe(checker.getTypeOfSymbol(property));
  }
  if (index?.type) fields["*"] = "any";
  if (!isNamed) return { fields };
  described[name] = { fields };
  return `#${name}`;
}
