// Runs checks one after the other, prints a line for each, and counts.

import { inspect } from "node:util";

const PATIENCE_MS = 60_000;

/** What a check throws where the gateway let somebody in whom it had to refuse. */
export class Admitted extends Error {}

export class Checks {
  #counts = { passed: 0, failed: 0, skipped: 0 };
  #expectAdmitted;
  #onFailure = async () => {};

  /** With `expectAdmitted` the checks that go through `refuses` pass only if the gateway lets the stranger in. */
  constructor({ expectAdmitted = false } = {}) {
    this.#expectAdmitted = expectAdmitted;
  }

  /** Runs `run` with a world that ends with it; a world that does not start is a failure. */
  async in(world, run) {
    const start = Date.now();
    try {
      await using(await world(), async (running) => {
        console.log(`\n== ${running.label} (up after ${seconds(start)})`);
        this.#onFailure = (name) => running.explain(name);
        await run(running);
      });
    } catch (error) {
      this.#failed("the suite runs to its end", start, error);
    } finally {
      this.#onFailure = async () => {};
      console.log(`== ${seconds(start)} in all`);
    }
  }

  async check(name, run, patience = PATIENCE_MS) {
    const start = Date.now();
    try {
      await within(patience, run());
      this.#passed(name, start);
    } catch (error) {
      this.#failed(name, start, error);
      await this.#onFailure(name);
    }
  }

  /** A check that throws `Admitted` where the gateway accepts what it must refuse. */
  async refuses(name, run) {
    if (!this.#expectAdmitted) return this.check(name, run);
    return this.check(`without signature checks this fails: ${name}`, async () => {
      const outcome = await run().then(() => undefined, (error) => error);
      if (outcome instanceof Admitted) return;
      throw outcome ?? new Error("it passed, so the suite does not notice a verifier that verifies nothing");
    });
  }

  /** Whatever cannot run is a failure under CI. */
  missing(name, reason) {
    if (process.env.CI === "true") return this.#failed(name, Date.now(), new Error(reason));
    this.#counts.skipped += 1;
    console.log(`skipped ${name}: ${reason}`);
  }

  /** Prints the counts; true if nothing failed and something passed. */
  finish() {
    const { passed, failed, skipped } = this.#counts;
    console.log(`\n${passed} passed, ${failed} failed, ${skipped} skipped`);
    return failed === 0 && passed > 0;
  }

  #passed(name, start) {
    this.#counts.passed += 1;
    console.log(`ok      ${name} (${seconds(start)})`);
  }

  #failed(name, start, error) {
    this.#counts.failed += 1;
    console.log(`FAILED  ${name} (${seconds(start)})\n${indented(error?.stack ?? inspect(error))}`);
  }
}

async function using(resource, run) {
  try {
    await run(resource);
  } finally {
    await resource.stop();
  }
}

export async function within(milliseconds, promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done after ${milliseconds / 1000} s`)), milliseconds);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Asks again until the answer is truthy: for what other processes tell nobody about. */
export async function eventually(what, ask, patience = 15_000) {
  const end = Date.now() + patience;
  for (;;) {
    const answer = await ask();
    if (answer) return answer;
    if (Date.now() > end) throw new Error(`still waiting after ${patience / 1000} s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

export function indented(text) {
  return String(text).replace(/^/gm, "        ");
}

function seconds(start) {
  return `${((Date.now() - start) / 1000).toFixed(1)} s`;
}
