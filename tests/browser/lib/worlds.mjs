// IdP, application, gateway and Chromium together, in the four combinations that the sign-in suite visits.

import { createServer } from "node:https";
import { once } from "node:events";
import { request as plainRequest } from "node:http";
import { request as tlsRequest } from "node:https";
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";

import { startApplication } from "../application.mjs";
import { startSamlpIdp } from "../samlp-idp.mjs";
import { startSinglePage } from "../single-page.mjs";
import { startChromium } from "./chromium.mjs";
import { indented } from "./checks.mjs";
import { Gateway } from "./gateway.mjs";
import { authority } from "./keys.mjs";
import { freePorts, Process } from "./processes.mjs";
import { startProxy } from "./proxy.mjs";

const APP_DOMAIN = "app.samlgate.test";
const IDP_DOMAIN = "idp.other.test";
/** A host of its own, with cookies of its own, on which browsers keep Secure cookies without TLS. */
export const OTHER_HOST = "other.localhost";

/** What a suite is given. Its parts stop in the reverse order of their start. */
export class World {
  #parts = [];

  constructor(setup, label, folder) {
    Object.assign(this, { setup, label, folder: join(setup.folder, folder) });
  }

  /** Builds a world by `build`; what had started ends if the rest does not start. */
  static async build(setup, label, folder, build) {
    const world = new World(setup, label, folder);
    await mkdir(world.folder, { recursive: true });
    try {
      await build(world);
      return world;
    } catch (error) {
      await world.stop();
      throw error;
    }
  }

  add(part) {
    this.#parts.push(part);
    return part;
  }

  async chromium(options = {}) {
    const { executable } = this.setup;
    const browser = await startChromium({ executable, home: join(this.folder, "home"), ...options });
    this.browser = browser;
    this.add({ stop: () => browser.close() });
  }

  async stop() {
    for (const part of this.#parts.splice(0).reverse()) await part.stop();
  }

  /** The pages that stand open and the last of the gateway's log, for whoever reads of a failure. */
  async explain(name) {
    const pages = this.browser?.contexts().flatMap((context) => context.pages()) ?? [];
    for (const [index, page] of pages.entries()) {
      const file = `failed-${this.label}-${name}-${index}`.replace(/[^a-z0-9]+/gi, "-").slice(0, 120);
      console.log(indented(`open: ${page.url()}`));
      await this.setup.screens.shoot(page, file).catch(() => {});
    }
    console.log(indented(this.log().slice(-12).join("\n")));
  }
}

/** As `./demo`: everything of ours, on loopback http. */
export function oursOnHttp(setup) {
  return World.build(setup, "our issuer, http", "ours-http", async (world) => {
    const demo = await startDemo(world);
    world.origin = demo.origin;
    world.idp = demo.idp;
    world.log = () => demo.process.lines;
    await world.chromium();
  });
}

export function samlpOnHttp(setup) {
  return World.build(setup, "samlp, http", "samlp-http", async (world) => {
    const [port] = await freePorts(1);
    world.origin = `http://localhost:${port}`;
    world.idp = world.add(await startSamlpIdp({ folder: world.folder, sp: serviceProvider(world.origin) }));
    await gatewayAndApplication(world, { port, idp: world.idp });
    await world.chromium();
  });
}

export function samlpOnHttps(setup) {
  return World.build(setup, "samlp, https on two domains", "samlp-https", async (world) => {
    const tls = await authority(world.folder, [APP_DOMAIN, IDP_DOMAIN]);
    const [port] = await freePorts(1);
    world.origin = `https://${APP_DOMAIN}`;
    world.idp = world.add(await startSamlpIdp({
      folder: world.folder,
      sp: serviceProvider(world.origin),
      tls: tls.certificates[IDP_DOMAIN],
      origin: `https://${IDP_DOMAIN}`,
    }));
    await gatewayAndApplication(world, { port, idp: world.idp, tls });
    await world.chromium({ hosts: { [APP_DOMAIN]: port, [IDP_DOMAIN]: world.idp.port }, caFile: tls.caFile });
  });
}

/** Three hosts under one sign-in; the single page of `single-page.mjs` has one of its own. */
export function severalHosts(setup) {
  return World.build(setup, "several hosts", "several-hosts", async (world) => {
    const [app, forms, single] = [APP_DOMAIN, "forms.samlgate.test", "single.samlgate.test"];
    const tls = await authority(world.folder, [[app, forms, single], IDP_DOMAIN]);
    const [port] = await freePorts(1);
    [world.origin, world.forms, world.single] = [app, forms, single].map((domain) => `https://${domain}`);
    world.idp = world.add(await startSamlpIdp({
      folder: world.folder,
      sp: serviceProvider(world.origin),
      tls: tls.certificates[IDP_DOMAIN],
      origin: `https://${IDP_DOMAIN}`,
    }));
    const singlePage = world.add(await startSinglePage());
    const { keyFile, certificateFile } = tls.certificates[app];
    await gatewayAndApplication(world, { port, idp: world.idp, tls, settings: (application) => ({
      public_url: world.origin,
      hosts: [world.forms, world.single],
      tls: { certificate_file: certificateFile, key_file: keyFile },
      session: { cookie_domain: "samlgate.test" },
      upstreams: { app: { servers: [`127.0.0.1:${application.port}`] }, single: { servers: [`127.0.0.1:${singlePage.port}`] } },
      routes: [
        { host: single, path_prefix: "/public", access: "public", upstream: "single" },
        { host: single, path_prefix: "/", access: "signed_in", upstream: "single" },
        { path_prefix: "/", access: "signed_in", upstream: "app" },
      ],
    }) });
    await world.chromium({ hosts: { [app]: port, [forms]: port, [single]: port, [IDP_DOMAIN]: world.idp.port }, caFile: tls.caFile });
  });
}

/** Our IdP behind a TLS front; the AuthnRequest goes by HTTP-POST here, so that `post.js` runs in a browser too. */
export function oursOnHttps(setup) {
  return World.build(setup, "our issuer, https on two domains, AuthnRequest by POST", "ours-https", async (world) => {
    const tls = await authority(world.folder, [APP_DOMAIN, IDP_DOMAIN]);
    const [port] = await freePorts(1);
    world.origin = `https://${APP_DOMAIN}`;
    const { idp } = await startDemo(world);
    const sp = serviceProvider(world.origin);
    await idp.patch({ sp_entity_id: sp.entityId, acs_url: sp.acsUrl });
    const front = world.add(await tlsFront(tls.certificates[IDP_DOMAIN], idp.origin));
    const origin = `https://${IDP_DOMAIN}`;
    world.idp = { ...idp, origin, ssoUrl: idp.ssoUrl.replace(idp.origin, origin), binding: "post" };
    await gatewayAndApplication(world, { port, idp: world.idp, tls });
    await world.chromium({ hosts: { [APP_DOMAIN]: port, [IDP_DOMAIN]: front.port }, caFile: tls.caFile });
  });
}

/** A proxy in front of the gateway, which meddles as `world.proxy` is told; no login page, so that loops go by themselves. */
export function oursThroughProxy(setup) {
  return World.build(setup, "our issuer, through a proxy", "ours-proxy", async (world) => {
    const [port] = await freePorts(1);
    world.proxy = world.add(await startProxy(port));
    world.origin = `http://localhost:${world.proxy.port}`;
    const { idp } = await startDemo(world);
    const sp = serviceProvider(world.origin);
    await idp.patch({ sp_entity_id: sp.entityId, acs_url: sp.acsUrl, sign: "both" });
    world.idp = idp;
    await gatewayAndApplication(world, { port, idp, settings: () => ({ public_url: world.origin, login_page: false }) });
    await world.chromium({ hosts: { [OTHER_HOST]: world.proxy.port } });
  });
}

function serviceProvider(origin) {
  return { entityId: `${origin}/saml/metadata`, acsUrl: `${origin}/saml/acs` };
}

/** `settings` makes those that differ, of the application. */
async function gatewayAndApplication(world, { port, idp, tls, settings = ofOneHost(world, tls) }) {
  const { origin } = world;
  const jwks = () => getJson(port, new URL("/saml/jwks.json", origin), tls?.ca);
  world.application = world.add(await startApplication({ issuer: origin, jwks }));
  const gateway = world.add(await Gateway.start({
    program: world.setup.samlgate,
    folder: join(world.folder, "gateway"),
    port,
    idp,
    upstream: world.application.port,
    settings: settings(world.application),
  }));
  world.log = () => gateway.process.lines;
}

function ofOneHost({ origin }, tls) {
  const { keyFile, certificateFile } = tls?.certificates[APP_DOMAIN] ?? {};
  return () => (tls ? { public_url: origin, tls: { certificate_file: certificateFile, key_file: keyFile } } : {});
}

/** From the gateway's own port, under the name that it goes by. */
function getJson(port, url, ca) {
  const send = url.protocol === "https:" ? tlsRequest : plainRequest;
  const options = { host: "127.0.0.1", port, path: url.pathname, headers: { host: url.host }, servername: url.hostname, ca };
  return new Promise((resolve, reject) => {
    const request = send(options, async (response) => {
      try {
        const chunks = await response.toArray();
        resolve(JSON.parse(Buffer.concat(chunks)));
      } catch (error) {
        reject(error);
      }
    });
    request.on("error", reject).end();
  });
}

/** The binary `demo`: IdP, application and gateway; what it prints says where they are. */
async function startDemo(world) {
  const [port] = await freePorts(1);
  const demo = world.add(new Process(world.setup.demo, ["--port", String(port), "--no-color", "--log"], { cwd: world.folder }));
  const [, origin] = await demo.line(/^ +Open +(http:\S+?)\/?$/);
  const [, idpOrigin] = await demo.line(/pretend JumpCloud +(http:\S+)/);
  const [, settingsFile] = await demo.line(/^ +settings +(\S+)/);
  const settings = await readFile(settingsFile, "utf8");
  const { entity_id: entityId, sso_url: ssoUrl } = JSON.parse(settings).identity_providers[0];
  const certificate = await fetch(`${idpOrigin}/certificate.pem`).then((response) => response.text());
  const idp = { origin: idpOrigin, entityId, ssoUrl, certificate };
  idp.patch = async (changes) => {
    const headers = { "content-type": "application/json" };
    const response = await fetch(`${idpOrigin}/admin/settings`, { method: "PATCH", headers, body: JSON.stringify(changes) });
    if (!response.ok) throw new Error(`the IdP does not take ${JSON.stringify(changes)}: ${await response.text()}`);
  };
  idp.set = ({ sign = "both", signer = "own", tampered = false }) => {
    const misbehaviours = [signer === "stranger" && "sign_by_stranger", tampered && "break_signature"].filter(Boolean);
    return idp.patch({ sign, misbehaviours });
  };
  return { origin, process: demo, idp };
}

/** TLS in front of a plain server, with nothing changed but the socket. */
async function tlsFront(tls, target) {
  const { port } = new URL(target);
  const server = createServer(tls, (request, response) => {
    const { method, url: path, headers } = request;
    const onward = plainRequest({ host: "127.0.0.1", port, method, path, headers }, (answer) => {
      response.writeHead(answer.statusCode, answer.rawHeaders);
      answer.pipe(response);
    });
    onward.on("error", () => response.destroy());
    request.pipe(onward);
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  return {
    port: server.address().port,
    async stop() {
      server.closeAllConnections();
      await once(server.close(), "close");
    },
  };
}
