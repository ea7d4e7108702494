// Screenshots of each page, and what can be judged of a page by machine.

import { createRequire } from "node:module";
import { mkdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";

const WIDTHS = [320, 768, 1280];
const SCHEMES = ["light", "dark"];
const USUAL = { width: 1280, height: 800 };
const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];

export class Screens {
  #folder;
  #axe;
  #seen = new Set();

  static async in(folder) {
    await rm(folder, { recursive: true, force: true });
    await mkdir(folder, { recursive: true });
    const screens = new Screens();
    screens.#folder = folder;
    screens.#axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
    return screens;
  }

  /** A page as it is. */
  async shoot(page, name) {
    await page.screenshot({ path: join(this.#folder, `${name}.png`) });
  }

  /**
   * A page of the gateway in every width and both colour schemes, once a name. Throws where it overflows sideways
   * or where axe finds a breach of WCAG 2.2 AA.
   */
  async inspect(page, name) {
    if (this.#seen.has(name)) return;
    this.#seen.add(name);
    const faults = [];
    for (const colorScheme of SCHEMES) {
      await page.emulateMedia({ colorScheme });
      for (const width of WIDTHS) {
        await page.setViewportSize({ width, height: width < 768 ? 640 : 800 });
        await this.shoot(page, `${name}-${colorScheme}-${width}`);
        const wide = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
        if (wide > 0) faults.push(`${width} px ${colorScheme}: ${wide} px too wide`);
      }
      faults.push(...(await this.#breaches(page)).map((breach) => `${colorScheme}: ${breach}`));
    }
    await page.emulateMedia({ colorScheme: null });
    await page.setViewportSize(USUAL);
    if (faults.length > 0) throw new Error(`page ${name}:\n${faults.join("\n")}`);
  }

  async #breaches(page) {
    await page.evaluate(this.#axe);
    const { violations } = await page.evaluate((values) => window.axe.run({ runOnly: { type: "tag", values } }), RULES);
    return violations.flatMap(({ id, nodes }) => nodes.map(({ failureSummary, html }) => `${id}: ${html}\n${failureSummary}`));
  }
}

/** With `--quick`: neither pictures nor judgements. */
export const noScreens = { async shoot() {}, async inspect() {} };
