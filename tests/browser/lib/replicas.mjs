// Two replicas of samlgate that share a Redis, under one address.

import { once } from "node:events";
import { mkdir } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { join } from "node:path";

import { Gateway } from "./gateway.mjs";
import { freePorts, output, Process } from "./processes.mjs";

export class Replicas {
  #program;
  #folder;
  #parts = [];
  #leadsTo = 0;
  gateways = [];

  /** `port` is that of the address; for the rest see `Gateway.start`. What had started ends if the rest does not start. */
  static async start({ program, folder, port, settings, ...rest }) {
    const replicas = new Replicas();
    replicas.#program = program;
    replicas.#folder = folder;
    try {
      await mkdir(folder, { recursive: true });
      const [redisPort, ...ports] = await freePorts(3);
      replicas.#parts.push(await startRedis(folder, redisPort));
      const keys = join(folder, "keys");
      await output(program, ["keys", "generate", "--dir", keys]);
      const shared = {
        public_url: `http://localhost:${port}`,
        replicas: 2,
        keys_dir: keys,
        control_socket: "control.sock",
        session: { store: "redis", redis: { servers: [`127.0.0.1:${redisPort}`] } },
        ...settings,
      };
      for (const [index, port] of ports.entries()) {
        const gateway = await Gateway.start({ program, folder: replicas.#folderOf(index), port, settings: shared, ...rest });
        replicas.#parts.push(gateway);
        replicas.gateways.push(gateway);
      }
      replicas.#parts.push(await balancer(port, () => ports[replicas.#leadsTo]));
      return replicas;
    } catch (error) {
      await replicas.stop();
      throw error;
    }
  }

  /** New connections go to that replica from now on; those that are open stay where they are. */
  leadTo(index) {
    this.#leadsTo = index;
  }

  /** `samlgate sessions revoke` beside a replica. */
  async revoke(index, ...whose) {
    const config = join(this.#folderOf(index), "samlgate.yaml");
    return output(this.#program, ["sessions", "revoke", "--config", config, ...whose]);
  }

  get lines() {
    return this.gateways.flatMap((gateway) => gateway.process.lines);
  }

  #folderOf(index) {
    return join(this.#folder, String(index));
  }

  async stop() {
    for (const part of this.#parts.splice(0).reverse()) await part.stop();
  }
}

async function startRedis(folder, port) {
  const redis = new Process("redis-server", ["--bind", "127.0.0.1", "--port", String(port), "--save", ""], { cwd: folder });
  await redis.line(/Ready to accept connections/);
  return redis;
}

/** Bytes and nothing else: each connection goes where `target` says when it comes. */
async function balancer(port, target) {
  const open = new Set();
  const server = createServer((client) => {
    const replica = connect(target(), "127.0.0.1");
    for (const [socket, other] of [[client, replica], [replica, client]]) {
      open.add(socket);
      socket.on("error", () => other.destroy()).on("close", () => open.delete(socket)).pipe(other);
    }
  });
  await once(server.listen(port, "127.0.0.1"), "listening");
  return {
    async stop() {
      for (const socket of open) socket.destroy();
      await once(server.close(), "close");
    },
  };
}
