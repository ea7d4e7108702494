// Debian's Chromium, headless, with an empty profile and nothing but loopback within its reach.

import { mkdir } from "node:fs/promises";
import { join } from "node:path";

import { chromium } from "playwright-core";

import { output } from "./processes.mjs";

const PATIENCE_MS = 15_000;

/**
 * Starts Chromium. `hosts` maps domains to loopback ports; `caFile` is trusted as a root, by the profile alone.
 */
export async function startChromium({ executable, home, hosts = {}, caFile }) {
  await mkdir(home, { recursive: true });
  if (caFile) await trust(home, caFile);
  const rules = Object.entries(hosts).map(([host, port]) => `MAP ${host} 127.0.0.1:${port}`);
  const isRoot = process.getuid() === 0;
  return chromium.launch({
    executablePath: executable,
    chromiumSandbox: !isRoot,
    env: { ...process.env, HOME: home, XDG_CONFIG_HOME: join(home, "config"), XDG_CACHE_HOME: join(home, "cache") },
    // Users have it, and pages must bear it.
    ignoreDefaultArgs: ["--disable-popup-blocking"],
    handleSIGINT: false,
    handleSIGTERM: false,
    handleSIGHUP: false,
    args: [
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--no-proxy-server",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      `--host-resolver-rules=${[...rules, "MAP * ~NOTFOUND", "EXCLUDE localhost", "EXCLUDE 127.0.0.1"].join(", ")}`,
    ],
  });
}

/** Chromium on Linux reads roots from the NSS database of the home folder, the old place and the new. */
async function trust(home, caFile) {
  for (const folder of [join(home, ".pki/nssdb"), join(home, ".local/share/pki/nssdb")]) {
    await mkdir(folder, { recursive: true });
    await output("certutil", ["-N", "-d", `sql:${folder}`, "--empty-password"]);
    await output("certutil", ["-A", "-d", `sql:${folder}`, "-t", "C,,", "-n", "suite", "-i", caFile]);
  }
}

/** One person's browser: a jar of its own, and a record of what was sent and what went wrong in it. */
export class Visitor {
  requests = [];
  complaints = [];

  static async arrive(browser) {
    const visitor = new Visitor();
    visitor.context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
    visitor.context.setDefaultTimeout(PATIENCE_MS);
    visitor.context.on("request", (request) => visitor.requests.push(request));
    visitor.context.on("console", (message) => {
      if (message.type() === "error" && /Content Security Policy|Refused to/i.test(message.text())) {
        visitor.complaints.push(message.text());
      }
    });
    visitor.page = await visitor.context.newPage();
    return visitor;
  }

  async leave() {
    await this.context.close();
  }

  /** Method, URL and headers as they went over the wire, cookies included. */
  async sent(matches) {
    const found = this.requests.filter((request) => matches(new URL(request.url()), request));
    return Promise.all(found.map(async (request) => ({
      method: request.method(),
      url: request.url(),
      headers: await request.allHeaders(),
    })));
  }

  /** The cookie of this name that the browser keeps for `origin`. */
  async cookie(origin, name) {
    const cookies = await this.context.cookies(origin);
    return cookies.find((cookie) => cookie.name === name);
  }
}

/** Names of the cookies in a `Cookie` header. */
export function cookieNames(header = "") {
  return header.split(";").map((pair) => pair.split("=")[0].trim()).filter(Boolean);
}
