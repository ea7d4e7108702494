// Entry: `node main.mjs [--quick] [--expect-failure] [suite...]`; `run` prepares what it needs and tells it where that is.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

import { Checks } from "./lib/checks.mjs";
import { killAll } from "./lib/processes.mjs";
import { noScreens, Screens } from "./lib/screens.mjs";
import { oursOnHttp, oursOnHttps, oursThroughProxy, samlpOnHttp, samlpOnHttps, severalHosts } from "./lib/worlds.mjs";
import { hostsSuite } from "./suites/hosts.mjs";
import { keptFormsSuite } from "./suites/kept-forms.mjs";
import { jupyterSuite, jupyterWorld } from "./suites/jupyter.mjs";
import { loginLoopsSuite } from "./suites/login-loops.mjs";
import { singlePageSuite, singlePageWorld } from "./suites/single-page.mjs";
import { signInSuite } from "./suites/sign-in.mjs";
import { strangerSuite, tamperSuite } from "./suites/signatures.mjs";
import { tabsSuite } from "./suites/tabs.mjs";

const { values: flags, positionals: suites } = parseArgs({
  options: { quick: { type: "boolean" }, "expect-failure": { type: "boolean" } },
  allowPositionals: true,
});
const { SUITE_BINARIES, SUITE_CHROMIUM, SUITE_JUPYTER } = process.env;

// Everything that is started keeps its files in here as well.
const folder = mkdtempSync(join(tmpdir(), "samlgate-browser-"));
process.env.TMPDIR = folder;
process.on("exit", () => {
  killAll();
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
});
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => process.exit(1));

const isComplete = flags["expect-failure"] ? await withoutSignatureCheck() : await everything();
process.exit(isComplete ? 0 : 1);

async function everything() {
  const setup = prepare(flags.quick ? noScreens : await Screens.in(fileURLToPath(new URL("screenshots", import.meta.url))));
  const checks = new Checks();
  const worlds = flags.quick ? [oursOnHttp, samlpOnHttps] : [oursOnHttp, samlpOnHttp, oursOnHttps, samlpOnHttps];
  const shared = ["sign-in", "signatures", "kept-forms", "tabs"];
  for (const world of shared.some(isWanted) ? worlds : []) {
    await checks.in(() => world(setup), async (running) => {
      if (isWanted("sign-in")) await signInSuite(checks, running, setup.screens);
      if (isWanted("signatures")) {
        await strangerSuite(checks, running);
        await tamperSuite(checks, running);
      }
      if (isWanted("kept-forms") && running.application) await keptFormsSuite(checks, running, setup.screens);
      if (isWanted("tabs")) await tabsSuite(checks, running);
    });
  }
  if (isWanted("hosts")) {
    await checks.in(() => severalHosts(setup), (running) => hostsSuite(checks, running, setup.screens));
  }
  if (isWanted("login-loops")) {
    await checks.in(() => oursThroughProxy(setup), (running) => loginLoopsSuite(checks, running, setup.screens));
  }
  if (isWanted("single-page")) {
    await checks.in(() => singlePageWorld(setup), (running) => singlePageSuite(checks, running, setup.screens));
  }
  if (!isWanted("jupyter")) return checks.finish();
  if (setup.jupyter) {
    await checks.in(() => jupyterWorld(setup), (running) => jupyterSuite(checks, running, setup.screens));
  } else {
    checks.missing("JupyterLab behind two replicas", "JupyterLab could not be installed");
  }
  return checks.finish();
}

function isWanted(suite) {
  return suites.length === 0 || suites.includes(suite);
}

async function withoutSignatureCheck() {
  const setup = prepare(noScreens);
  const checks = new Checks({ expectAdmitted: true });
  for (const world of [oursOnHttp, samlpOnHttp]) {
    await checks.in(() => world(setup), (running) => strangerSuite(checks, running));
  }
  return checks.finish();
}

function prepare(screens) {
  return {
    folder,
    screens,
    demo: join(SUITE_BINARIES, "demo"),
    samlgate: join(SUITE_BINARIES, "samlgate"),
    executable: SUITE_CHROMIUM,
    jupyter: SUITE_JUPYTER || undefined,
  };
}
