// A real application behind the gateway: JupyterLab, whose kernel speaks over a WebSocket.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { once } from "node:events";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { eventually } from "../lib/checks.mjs";
import { refusals } from "../lib/gateway.mjs";
import { freePorts, Process } from "../lib/processes.mjs";
import { Replicas } from "../lib/replicas.mjs";
import { asVisitor, signIn } from "../lib/steps.mjs";
import { World } from "../lib/worlds.mjs";
import { startSamlpIdp } from "../samlp-idp.mjs";

const CODE = 'print(6 * 7, "by the kernel")';
const OUTPUT = "42 by the kernel";
const SLOW_MS = 120_000;
const SECOND_MS = 1_000;
const PAGE = "/lab/tree/hello.ipynb";
const KERNEL_SOCKET = "/api/kernels/";
const NOTEBOOK = {
  cells: [{ cell_type: "code", execution_count: null, id: "first", metadata: {}, outputs: [], source: "" }],
  metadata: { kernelspec: { display_name: "Python 3", language: "python", name: "python3" } },
  nbformat: 4,
  nbformat_minor: 5,
};

export function jupyterWorld(setup) {
  return World.build(setup, "JupyterLab behind two replicas", "jupyter", async (world) => {
    const [port, upstream] = await freePorts(2);
    world.origin = `http://localhost:${port}`;
    const sp = { entityId: `${world.origin}/saml/metadata`, acsUrl: `${world.origin}/saml/acs` };
    world.idp = world.add(await startSamlpIdp({ folder: world.folder, sp }));
    const jupyter = world.add(await startJupyter(setup.jupyter, world.folder, upstream));
    world.replicas = world.add(await Replicas.start({
      program: setup.samlgate,
      folder: join(world.folder, "gateways"),
      port,
      idp: world.idp,
      upstream,
      settings: { routes: [{ path_prefix: "/", access: "signed_in", upstream: "app" }] },
    }));
    world.log = () => [...jupyter.lines.slice(-6), ...world.replicas.lines];
    world.neighbour = world.add(await emptyPage());
    await world.chromium();
  });
}

/** Anybody who reaches it may do anything, as is fitting for an application whose only door is the gateway. */
async function startJupyter(program, folder, port) {
  const home = join(folder, "jupyter");
  const notebooks = join(home, "notebooks");
  await mkdir(notebooks, { recursive: true });
  await writeFile(join(notebooks, "hello.ipynb"), JSON.stringify(NOTEBOOK));
  const settings = join(home, "jupyterlab_settings_dir", "@jupyterlab", "apputils-extension");
  await mkdir(settings, { recursive: true });
  await writeFile(join(settings, "notification.jupyterlab-settings"), JSON.stringify({ checkForUpdates: false, fetchNews: "false" }));
  const places = Object.fromEntries(["JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "JUPYTERLAB_SETTINGS_DIR",
    "JUPYTERLAB_WORKSPACES_DIR", "IPYTHONDIR"].map((name) => [name, join(home, name.toLowerCase())]));
  const jupyter = new Process(program, [
    "--no-browser", "--allow-root", "--ip=127.0.0.1", `--port=${port}`, "--ServerApp.port_retries=0",
    "--IdentityProvider.token=", `--ServerApp.root_dir=${notebooks}`,
    "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
  ], { cwd: home, env: { ...process.env, ...places, HOME: home } });
  await eventually("JupyterLab to answer", async () => {
    if (jupyter.end !== undefined) throw new Error(`JupyterLab ended (${jupyter.end}):\n${jupyter.lines.join("\n")}`);
    return fetch(`http://127.0.0.1:${port}/api`).then((response) => response.ok, () => false);
  }, SLOW_MS);
  return jupyter;
}

/** Somebody else on another port of the same host: to a browser the same site, so our cookie goes along. */
async function emptyPage() {
  const server = createServer((_, response) => response.setHeader("content-type", "text/html").end("<title>neighbour</title>"));
  await once(server.listen(0, "127.0.0.1"), "listening");
  return {
    url: `http://localhost:${server.address().port}/`,
    async stop() {
      server.closeAllConnections();
      await once(server.close(), "close");
    },
  };
}

export async function jupyterSuite(checks, world, screens) {
  await asVisitor(world, async (ada) => {
    const { page } = ada;
    const kernel = kernelSocket(page);
    await checks.check("without a session its interface answers 401 in JSON", async () => {
      const response = await fetch(`${world.origin}/api/kernels`);
      assert.equal(response.status, 401);
      assert.equal((await response.json()).code, "login_required");
    });
    await checks.check("after sign-in the notebook opens", async () => {
      await signIn(ada, world, "ada", PAGE);
      await page.locator(".jp-Notebook .jp-CodeCell").waitFor({ timeout: SLOW_MS });
      assert.equal(page.url(), world.origin + PAGE);
    }, SLOW_MS);
    await checks.check("its kernel becomes ready", () =>
      // The notebook's own indicator says idle before there is a kernel, and a cell run then is dropped.
      page.locator("#jp-main-statusbar").getByText("| Idle").waitFor({ timeout: SLOW_MS }), SLOW_MS);
    await checks.check("a cell runs, and its output comes over the WebSocket through the gateway", async () => {
      await page.locator(".jp-Notebook .cm-content").click();
      await page.keyboard.type(CODE);
      await page.keyboard.press("Shift+Enter");
      await page.locator(".jp-OutputArea-output", { hasText: OUTPUT }).waitFor({ timeout: SLOW_MS });
      await screens.shoot(page, "jupyter");
      assert.equal(new URL((await kernel).url()).origin, world.origin.replace("http", "ws"));
    }, SLOW_MS);
    await checks.check("a page on another port of the host cannot open the WebSocket, its own page can", () =>
      onlyOwnPagesUpgrade(world, ada));
    await checks.check("a revocation closes a kernel's WebSocket through either replica within a second", async () =>
      revocationCloses(world, ada, await kernel), SLOW_MS);
  });
}

/** The page's first WebSocket of a kernel that something came over. */
function kernelSocket(page) {
  return new Promise((resolve) => page.on("websocket", (socket) => {
    if (socket.url().includes(KERNEL_SOCKET)) socket.once("framereceived", () => resolve(socket));
  }));
}

async function onlyOwnPagesUpgrade(world, { context, page }) {
  const socket = `${world.origin.replace("http", "ws")}/api/events/subscribe`;
  const outcome = (page) => page.evaluate((url) => new Promise((resolve) => {
    const socket = new WebSocket(url);
    socket.onopen = () => resolve("open");
    socket.onerror = () => resolve("refused");
  }), socket);
  assert.equal(await outcome(page), "open");
  const before = refusals(world.log(), "upgrade_origin_forbidden").length;
  const neighbour = await context.newPage();
  await neighbour.goto(world.neighbour.url);
  assert.equal(await outcome(neighbour), "refused");
  await neighbour.close();
  await eventually("the refusal in the log", () => refusals(world.log(), "upgrade_origin_forbidden").length > before);
}

/** `first` is open through the first replica; another page opens one through the second. */
async function revocationCloses({ origin, replicas }, { context }, first) {
  replicas.leadTo(1);
  const page = await context.newPage();
  const opening = kernelSocket(page);
  await page.goto(origin + PAGE);
  const sockets = [first, await opening];
  assert.ok(sockets.every((socket) => !socket.isClosed()), "both are open");
  assert.deepEqual(cutOff(replicas), [0, 0]);

  const begun = Date.now();
  const closed = sockets.map((socket) => socket.waitForEvent("close").then(() => Date.now() - begun));
  await replicas.revoke(0, "--email", "ada@demo.example");
  const after = await Promise.all(closed);
  assert.ok(after.every((milliseconds) => milliseconds < SECOND_MS), `closed after ${after} ms`);
  await eventually("a kernel's WebSocket cut off by each replica", () => cutOff(replicas).every((number) => number > 0));
}

/** How many WebSockets of kernels each replica has cut off. */
function cutOff({ gateways }) {
  return gateways.map(({ process }) => {
    const events = process.lines.filter((line) => line.startsWith("{")).map((line) => JSON.parse(line));
    const ended = new Set(events.filter(({ message }) => message === "request cut off with its session").map((event) => event["request.id"]));
    return events.filter((event) => event.message === "request" && ended.has(event["request.id"])
      && event["http.path"].startsWith(KERNEL_SOCKET)).length;
  });
}
