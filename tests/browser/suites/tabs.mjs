// Ten tabs that a browser opens at once, each on a page of its own, with nobody signed in and no cookie in the jar.

import assert from "node:assert/strict";

import { asVisitor, pressLogin, whoAmI } from "../lib/steps.mjs";

const ORDER = [3, 9, 0, 6, 1, 8, 4, 7, 2, 5];

export async function tabsSuite(checks, world) {
  await checks.check("ten tabs from an empty jar finish in any order, each at its own page", () =>
    asVisitor(world, async (ada) => {
      const tabs = await tenAtTheIdp(world, ada);
      for (const number of ORDER) await finish(world, tabs[number]);
    }));
  await checks.check("ten tabs from an empty jar finish at once, each at its own page", () =>
    asVisitor(world, async (ada) => {
      const tabs = await tenAtTheIdp(world, ada);
      await Promise.all(tabs.map((tab) => finish(world, tab)));
    }));
}

async function tenAtTheIdp(world, { context }) {
  const tabs = await Promise.all(ORDER.map(async (_, number) => ({ page: await context.newPage(), path: `/tab/${number}?x=${number}` })));
  await Promise.all(tabs.map(({ page, path }) => page.goto(world.origin + path)));
  await Promise.all(tabs.map(({ page }) => pressLogin(page, world)));
  await Promise.all(tabs.map(({ page }) => page.locator("input[name=password]").waitFor()));
  return tabs;
}

async function finish(world, { page, path }) {
  await page.fill("input[name=username]", "ada");
  await page.fill("input[name=password]", "ada-password");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.waitForURL(world.origin + path);
  assert.equal(await whoAmI(page), "ada@demo.example");
}
