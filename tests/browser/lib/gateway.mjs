// samlgate as it is deployed, with settings written for the occasion.

import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { eventually } from "./checks.mjs";
import { freePorts, Process } from "./processes.mjs";

const ROUTES = [
  { path_prefix: "/public", access: "public", upstream: "app" },
  { path_prefix: "/admin", access: { groups: ["admins"] }, upstream: "app", identity_jwt: true },
  { path_prefix: "/", access: "signed_in", upstream: "app", identity_jwt: true },
];

export class Gateway {
  /** JSON is YAML, so the settings are written as JSON. */
  static async start({ program, folder, port, idp, upstream, settings = {} }) {
    const [adminPort] = await freePorts(1);
    const file = join(folder, "samlgate.yaml");
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, "certificate.pem"), idp.certificate);
    await writeFile(file, JSON.stringify({
      public_url: `http://localhost:${port}`,
      listen: `127.0.0.1:${port}`,
      admin_listen: `127.0.0.1:${adminPort}`,
      login_page: true,
      shutdown_timeout: "2s",
      identity_providers: [{
        id: "jumpcloud",
        entity_id: idp.entityId,
        sso_url: idp.ssoUrl,
        certificate_file: "certificate.pem",
        binding: idp.binding ?? "redirect",
      }],
      upstreams: { app: { servers: [`127.0.0.1:${upstream}`] } },
      routes: ROUTES,
      ...settings,
    }, null, 2));
    const gateway = new Gateway();
    gateway.process = new Process(program, ["run", "--config", file], { cwd: folder });
    await ready(`http://127.0.0.1:${adminPort}/readyz`, gateway.process);
    return gateway;
  }

  async stop() {
    await this.process.stop();
  }
}

async function ready(url, process) {
  await eventually("samlgate to become ready", async () => {
    if (process.end !== undefined) throw new Error(`samlgate ended (${process.end}):\n${process.lines.join("\n")}`);
    return fetch(url).then((response) => response.ok, () => false);
  });
}

/** The log's events with this refusal code. */
export function refusals(lines, code) {
  return lines.filter((line) => line.includes(`"refusal.code":"${code}"`));
}
