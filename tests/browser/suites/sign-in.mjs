// The main job, as a person meets it: the login road and the request road in a real browser.

import assert from "node:assert/strict";

import { cookieNames } from "../lib/chromium.mjs";
import { eventually } from "../lib/checks.mjs";
import { refusals } from "../lib/gateway.mjs";
import {
  asVisitor, enterPassword, LOGIN_COOKIE, PREFIX, pressLogin, refusalCode, SESSION_COOKIE, signIn, whoAmI,
} from "../lib/steps.mjs";

const DEEP_LINK = "/reports/2026?page=2&q=a%20b";

/** Every check of it, in a world of which it knows only `origin`, `idp`, `browser` and `log`. */
export async function signInSuite(checks, world, screens) {
  const complaints = [];
  const visit = (act) => asVisitor(world, (visitor) => act(visitor).finally(() => complaints.push(...visitor.complaints)));
  await visit((ada) => fromFirstVisitToSignOut(checks, world, screens, ada));
  await visit((ben) => withoutTheGroup(checks, world, screens, ben));
  await visit((ben) => assertionOnly(checks, world, screens, ben));
  await visit((cyd) => boundToNoGroup(checks, world, screens, cyd));
  await checks.check("no page of ours breaches its own content security policy", async () => {
    assert.deepEqual(complaints, []);
  });
}

async function fromFirstVisitToSignOut(checks, world, screens, ada) {
  const { page } = ada;
  const picture = (name) => screens.shoot(page, `${world.label} ${name}`.replace(/[^a-z]+/gi, "-"));

  await checks.check("a first visit of a deep link shows the login page", async () => {
    await page.goto(`${world.origin}${DEEP_LINK}#part`);
    assert.equal(new URL(page.url()).pathname, "/saml/login");
    await page.getByRole("heading", { name: "Sign in" }).waitFor();
    await screens.inspect(page, "login");
  });
  await checks.check("its button leads to the IdP's form", async () => {
    await pressLogin(page, world);
    await page.locator("input[name=password]").waitFor();
    await picture("idp form");
    assert.equal(await ada.cookie(world.origin, SESSION_COOKIE), undefined);
  });
  await checks.check("after the password the user is back at the deep link, its fragment too", async () => {
    await enterPassword(page, world, "ada");
    await page.waitForURL((url) => url.origin === world.origin);
    assert.equal(page.url(), `${world.origin}${DEEP_LINK}#part`);
  });
  await checks.check("the application knows who the user is, and the identity JWT verifies", async () => {
    await applicationKnowsAda(page, `GET ${DEEP_LINK}`);
    await picture("application");
  });
  await checks.check("the ACS request was cross-site, with the binding cookie and without the session cookie", () =>
    acsRequests(ada, world, 1));
  await checks.check("the browser keeps both cookies as they were meant", () => cookiesAsMeant(ada, world));
  await checks.check("a reload needs no new login", async () => {
    const before = ada.requests.length;
    await page.reload();
    assert.equal(await whoAmI(page), "ada@demo.example");
    const places = ada.requests.slice(before).map((request) => new URL(request.url()));
    assert.ok(places.every((url) => url.origin === world.origin && !url.pathname.startsWith(PREFIX)), places.join(" "));
  });
  await checks.check("a login over a living session sends no session cookie to the ACS either", async () => {
    const old = await ada.cookie(world.origin, SESSION_COOKIE);
    await page.goto(`${world.origin}/saml/start/jumpcloud?rd=/again`);
    await page.waitForURL(`${world.origin}/again`);
    await acsRequests(ada, world, 2);
    const renewed = await ada.cookie(world.origin, SESSION_COOKIE);
    assert.notEqual(renewed.value, old.value);
  });
  await checks.check("sign-out asks, then ends the session for good", () => signsOut(ada, world, screens));
  await checks.check("the next visit asks again", async () => {
    await page.goto(world.origin + DEEP_LINK);
    assert.equal(new URL(page.url()).pathname, "/saml/login");
  });
}

async function applicationKnowsAda(page, request) {
  assert.equal(await whoAmI(page), "ada@demo.example");
  assert.equal(await page.locator("#unique-id").innerText(), "5f1e0000000000000000ada1");
  assert.deepEqual((await page.locator(".group").allInnerTexts()).sort(), ["admins", "engineers"]);
  assert.equal(await page.locator("#request h2").innerText(), request);
  assert.match(await page.locator("#jwt-verdict").getAttribute("class"), /good/, await page.locator("#jwt-verdict").innerText());
}

async function acsRequests(visitor, world, count) {
  const sent = await visitor.sent((url, request) => url.pathname === "/saml/acs" && request.method() === "POST");
  assert.equal(sent.length, count);
  const { url, headers } = sent.at(-1);
  assert.equal(new URL(url).origin, world.origin);
  assert.equal(headers["sec-fetch-site"], "cross-site");
  const names = cookieNames(headers.cookie);
  assert.ok(names.includes(LOGIN_COOKIE), `cookies: ${names}`);
  assert.ok(!names.includes(SESSION_COOKIE), `cookies: ${names}`);
}

async function cookiesAsMeant(visitor, world) {
  const { hostname } = new URL(world.origin);
  const common = { domain: hostname, path: "/", httpOnly: true, secure: true };
  for (const [name, sameSite] of [[SESSION_COOKIE, "Lax"], [LOGIN_COOKIE, "None"]]) {
    const cookie = await visitor.cookie(world.origin, name);
    const { domain, path, httpOnly, secure } = cookie;
    assert.deepEqual({ domain, path, httpOnly, secure, sameSite: cookie.sameSite }, { ...common, sameSite }, name);
  }
}

async function signsOut(visitor, world, screens) {
  const { page, context } = visitor;
  const old = await visitor.cookie(world.origin, SESSION_COOKIE);
  await page.goto(`${world.origin}/saml/logout`);
  await page.getByText("ada@demo.example").waitFor();
  await screens.inspect(page, "sign-out");
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByRole("heading", { name: "You are signed out" }).waitFor();
  await screens.inspect(page, "signed-out");
  assert.equal(await visitor.cookie(world.origin, SESSION_COOKIE), undefined);

  await context.addCookies([old]);
  await page.goto(`${world.origin}/`);
  assert.equal(new URL(page.url()).pathname, "/saml/login", "the old ticket is no session");
  await context.clearCookies({ name: SESSION_COOKIE });

  await page.goto(`${world.origin}/saml/logout`);
  await page.getByRole("heading", { name: "You are not signed in" }).waitFor();
  await screens.inspect(page, "sign-out-without-session");
}

async function withoutTheGroup(checks, world, screens, ben) {
  const { page } = ben;
  await checks.check("a user without the group is refused at /admin, and welcome elsewhere", async () => {
    await signIn(ben, world, "ben", "/admin");
    assert.equal(page.url(), `${world.origin}/admin`);
    assert.equal(await refusalCode(page), "not_in_allowed_group");
    await screens.inspect(page, "refusal-not-in-allowed-group");
    assert.equal((await page.reload()).status(), 403);
    await page.goto(`${world.origin}/`);
    assert.equal(await whoAmI(page), "ben@demo.example");
  });
}

async function assertionOnly(checks, world, screens, ben) {
  const { page } = ben;
  await checks.check("assertion-only signing is refused, on the page and in the log", async () => {
    await world.idp.set({ sign: "assertion" });
    const before = refusals(world.log(), "response_not_signed").length;
    await signIn(ben, world, "ben");
    assert.equal(await refusalCode(page), "response_not_signed");
    await screens.inspect(page, "refusal-response-not-signed");
    assert.equal(await ben.cookie(world.origin, SESSION_COOKIE), undefined);
    await eventually("the refusal in the log", () => refusals(world.log(), "response_not_signed").length > before);
  }).finally(() => world.idp.set({ sign: "both" }));
  await checks.check("once both are signed, the page's own link leads to the application", async () => {
    await page.getByRole("link", { name: "Try again" }).click();
    await pressLoginAndReturn(page, world);
    assert.equal(await whoAmI(page), "ben@demo.example");
  });
}

/** Where the IdP still knows the user, its pages go by without a stop. */
async function pressLoginAndReturn(page, world) {
  await page.getByRole("link", { name: "Login with JumpCloud" }).click();
  await page.waitForURL((url) => url.origin === world.origin && !url.pathname.startsWith(PREFIX));
}

async function boundToNoGroup(checks, world, screens, cyd) {
  const { page } = cyd;
  await checks.check("a user bound to no group sees the IdP's own page and gets no session", async () => {
    await signIn(cyd, world, "cyd");
    assert.equal(new URL(page.url()).origin, world.idp.origin);
    await page.getByText("You are not authorized").waitFor();
    await screens.shoot(page, `${world.label} not authorized`.replace(/[^a-z]+/gi, "-"));
    assert.equal(await cyd.cookie(world.origin, SESSION_COOKIE), undefined);
  });
}
