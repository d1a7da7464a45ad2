// Bundles a page with the libraries of one Grafana: node build.mjs FOLDER_WITH_NODE_MODULES page|pictures
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const folder = resolve(process.argv[2]);
const page = process.argv[3];
const here = dirname(fileURLToPath(import.meta.url));
const { build } = createRequire(join(folder, "package.json"))("esbuild");

await build({
  entryPoints: [join(here, `${page}.mjs`)],
  outfile: join(folder, `${page}.js`),
  nodePaths: [join(folder, "node_modules")],
  bundle: true,
  format: "iife",
  logLevel: "error",
  define: { "process.env.NODE_ENV": '"production"', global: "window" },
  loader: { ".svg": "dataurl", ".ttf": "empty", ".woff": "empty", ".woff2": "empty" },
  plugins: [
    {
      // Plugins, pages and defaults of new panels, of which there are none here.
      name: "unused",
      setup: (plugins) => {
        plugins.onResolve({ filter: /^(systemjs|react-router|@grafana\/schema\/dist)/ }, ({ path }) => ({ path, namespace: "unused" }));
        plugins.onLoad({ filter: /.*/, namespace: "unused" }, () => ({ contents: "module.exports = {}" }));
      },
    },
  ],
});
