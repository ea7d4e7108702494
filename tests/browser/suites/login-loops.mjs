// A browser that goes round is stopped, and told why: each cause, made by a proxy in front or by the IdP's clock.

import assert from "node:assert/strict";

import { eventually } from "../lib/checks.mjs";
import { refusals } from "../lib/gateway.mjs";
import { asVisitor, enterPassword, LOGIN_COOKIE, SESSION_COOKIE, whoAmI } from "../lib/steps.mjs";
import { OTHER_HOST } from "../lib/worlds.mjs";

const MOST_LOGINS = 5;

const rewrites = (name, change) => (line) => (line.startsWith(`${name}=`) ? change(line) : line);
const sameSite = (value) => (line) => line.replace(/SameSite=\w+/, `SameSite=${value}`);

export async function loginLoopsSuite(checks, world, screens) {
  const { proxy, idp } = world;
  const through = (meddling, code, cause, picture) => async () => {
    Object.assign(proxy, meddling);
    await asVisitor(world, (ada) => goesRound(world, ada, { code, cause, screens, picture })).finally(proxy.behave);
  };

  await checks.check("control: through a proxy that behaves, one login is enough, and a second one too", () =>
    asVisitor(world, (ada) => twice(world, ada)));
  await checks.check("no cookie is kept", through({ setCookie: () => undefined }, "login_of_other_browser", "cookie_not_returned", true));
  await checks.check("the login succeeds each time, and the session cookie is not kept",
    through({ setCookie: rewrites(SESSION_COOKIE, () => undefined) }, "session_cookie_missing", "cookie_not_returned"));
  await checks.check("the login cookie becomes SameSite=Lax",
    through({ setCookie: rewrites(LOGIN_COOKIE, sameSite("Lax")) }, "login_of_other_browser", "same_site"));
  await checks.check("the session cookie becomes SameSite=Strict",
    through({ setCookie: rewrites(SESSION_COOKIE, sameSite("Strict")) }, "session_cookie_missing", "same_site"));
  await checks.check("every cookie becomes SameSite=Strict",
    through({ setCookie: sameSite("Strict") }, "login_of_other_browser", "same_site"));
  await checks.check("the proxy leads away from the host of public_url",
    through({ canonical: `${OTHER_HOST}:${proxy.port}` }, "login_of_other_browser", "wrong_host"));
  await checks.check("the IdP's clock is an hour ahead", async () => {
    await idp.patch({ misbehaviours: ["not_yet_valid"] });
    await asVisitor(world, (ada) => goesRound(world, ada, { code: "assertion_not_yet_valid", cause: "clock", screens }))
      .finally(() => idp.patch({ misbehaviours: [] }));
  });
}

async function twice(world, { page, context, ...visitor }) {
  for (const path of ["/first", "/second"]) {
    await page.goto(world.origin + path);
    if (path === "/first") await enterPassword(page, world, "ada");
    await page.waitForURL(world.origin + path);
    assert.equal(await whoAmI(page), "ada@demo.example");
    await context.clearCookies({ name: SESSION_COOKIE });
  }
  assert.equal(visitor.requests.filter((request) => new URL(request.url()).pathname === "/saml/acs").length, 2);
}

async function goesRound(world, { page, requests, complaints }, { code, cause, screens, picture }) {
  const before = refusals(world.log(), cause === "clock" ? code : "login_loop").length;
  await page.goto(`${world.origin}/loop`);
  await page.fill("input[name=username]", "ada");
  await page.fill("input[name=password]", "ada-password");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.locator("dl.facts").waitFor();
  const facts = Object.fromEntries(await page.locator("dl.facts").evaluate((list) =>
    [...list.querySelectorAll("dt")].map((term) => [term.textContent, term.nextElementSibling.textContent])));
  assert.equal(facts["Likely cause"], cause, JSON.stringify(facts));
  assert.equal(facts["Last reason"] ?? facts.Code, code);
  const logins = requests.filter((request) => new URL(request.url()).pathname === "/saml/acs").length;
  assert.ok(logins <= MOST_LOGINS, `${logins} logins`);
  assert.deepEqual(complaints, []);
  if (picture) await screens.inspect(page, "refusal-login-loop");
  const line = await eventually("the cause in the log", () =>
    refusals(world.log(), cause === "clock" ? code : "login_loop").slice(before).find((line) => line.includes('"refusal.cause"')));
  assert.ok(line.includes(`"refusal.cause":"${cause}"`), line);
}
