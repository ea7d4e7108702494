// Child processes: each leads a process group of its own, which ends with it.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { createInterface } from "node:readline";

import { within } from "./checks.mjs";

const PATIENCE_MS = 60_000;
const living = new Set();

export class Process {
  #child;
  #waiting = new Set();
  #ended;
  lines = [];

  constructor(command, args, options = {}) {
    this.name = command.split("/").pop();
    this.#child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"], detached: true, ...options });
    living.add(this);
    this.#ended = new Promise((resolve) => {
      this.#child.on("error", (error) => resolve(String(error)));
      this.#child.on("exit", (code, signal) => resolve(signal ?? `status ${code}`));
    }).then((end) => {
      living.delete(this);
      this.end = end;
      this.#tell();
    });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream && createInterface({ input: stream }).on("line", (line) => {
        this.lines.push(line);
        this.#tell();
      });
    }
  }

  /** The first line that `pattern` matches, as the match. */
  async line(pattern) {
    const find = () => this.lines.map((line) => pattern.exec(line)).find(Boolean);
    return within(PATIENCE_MS, new Promise((resolve, reject) => {
      const look = () => {
        const found = find();
        if (!found && this.end === undefined) return;
        this.#waiting.delete(look);
        found ? resolve(found) : reject(new Error(`${this.name} ended (${this.end}):\n${this.lines.slice(-30).join("\n")}`));
      };
      this.#waiting.add(look);
      look();
    }));
  }

  /** Sends SIGTERM to the process, waits for its end, then sees to whatever it left in its group. */
  async stop() {
    if (this.end === undefined) {
      this.#child.kill("SIGTERM");
      await within(10_000, this.#ended).catch(() => {});
    }
    this.kill();
    await this.#ended;
  }

  kill() {
    if (!this.#child.pid) return;
    try {
      process.kill(-this.#child.pid, "SIGKILL");
    } catch (error) {
      if (error.code !== "ESRCH") throw error;
    }
  }

  #tell() {
    for (const look of [...this.#waiting]) look();
  }
}

/** For the end of this process, however it comes. */
export function killAll() {
  for (const process of living) process.kill();
}

/** Ports that were free a moment ago, all different. */
export async function freePorts(count) {
  const servers = Array.from({ length: count }, () => createServer().listen(0, "127.0.0.1"));
  await Promise.all(servers.map((server) => once(server, "listening")));
  const ports = servers.map((server) => server.address().port);
  await Promise.all(servers.map((server) => once(server.close(), "close")));
  return ports;
}

/** Runs a program to its end and returns what it wrote; a status other than 0 is an error. */
export async function output(command, args, options = {}) {
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"], ...options });
  let text = "";
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (data) => (text += data));
  const [code] = await once(child, "close");
  if (code !== 0) throw new Error(`${command} ${args[0]} ended with ${code}:\n${text}`);
  return text;
}
