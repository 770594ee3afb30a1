// Bundles a page for a test: node bundle.mjs MODULES ENTRY OUTPUT
// MODULES is the folder whose node_modules hold esbuild, and Vue or React.
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";

const [modules, entry, output] = process.argv.slice(2);
const require = createRequire(join(modules, "package.json"));
const { build } = require("esbuild");

const vue = {
  name: "vue",
  setup({ onLoad }) {
    const { compileScript, parse } = require("vue/compiler-sfc");
    onLoad({ filter: /\.vue$/ }, async ({ path }) => {
      const { descriptor, errors } = parse(await readFile(path, "utf8"), { filename: path });
      if (errors.length) throw errors[0];
      return { contents: compileScript(descriptor, { id: "page", inlineTemplate: true }).content };
    });
  },
};

await build({
  entryPoints: [entry],
  outfile: output,
  bundle: true,
  format: "esm",
  jsx: "automatic",
  nodePaths: [join(modules, "node_modules")],
  define: {
    "process.env.NODE_ENV": '"production"',
    __VUE_OPTIONS_API__: "true",
    __VUE_PROD_DEVTOOLS__: "false",
    __VUE_PROD_HYDRATION_MISMATCH_DETAILS__: "false",
  },
  plugins: [vue],
  logLevel: "warning",
});
