// `client.js`: a page whose session is gone signs its user in again in a pop-up, and loses no request.

import assert from "node:assert/strict";
import { join } from "node:path";

import { eventually } from "../lib/checks.mjs";
import { Gateway } from "../lib/gateway.mjs";
import { freePorts } from "../lib/processes.mjs";
import { asVisitor, pressLogin, SESSION_COOKIE } from "../lib/steps.mjs";
import { World } from "../lib/worlds.mjs";
import { startSamlpIdp } from "../samlp-idp.mjs";
import { startPretender, startSinglePage } from "../single-page.mjs";

const PAGE = "/public/page";
const QUIET_PAGE = `${PAGE}#quiet`;

export function singlePageWorld(setup) {
  return World.build(setup, "a single-page application", "single-page", async (world) => {
    const [port] = await freePorts(1);
    world.origin = `http://localhost:${port}`;
    const sp = { entityId: `${world.origin}/saml/metadata`, acsUrl: `${world.origin}/saml/acs` };
    world.idp = world.add(await startSamlpIdp({ folder: world.folder, sp }));
    world.application = world.add(await startSinglePage());
    world.pretender = world.add(await startPretender());
    const gateway = world.add(await Gateway.start({
      program: world.setup.samlgate,
      folder: join(world.folder, "gateway"),
      port,
      idp: world.idp,
      upstream: world.application.port,
    }));
    world.log = () => gateway.process.lines;
    await world.chromium();
  });
}

export async function singlePageSuite(checks, world, screens) {
  await asVisitor(world, async (ada) => {
    await checks.check("a request without a session opens a pop-up, and is answered when the pop-up is done", () =>
      firstSignIn(world, ada, screens));
    await checks.check("many requests at once open one pop-up, and each is sent once more with its body", () => many(world, ada));
    await checks.check("without a gesture of the user a bar asks for one", () => withoutGesture(world, ada, screens));
    await checks.check("whoever closes the pop-up gets the 401, and the next request asks again", () => cancelled(world, ada));
    await checks.check("whoever wants to sign in later gets the 401", () => dismissed(world, ada));
    await checks.check("a request that is given up waits no longer", () => aborted(world, ada));
    await checks.check("a sign-in in one window serves the others", () => otherWindow(world, ada));
    await checks.check("the login pages of others are not opened", () => pretended(world, ada));
    await checks.check("what one person asked is not asked again as another", () => otherPerson(world, ada));
    await checks.check("of a sender who is not known only what reads is asked again", () => unknownSender(world, ada));
    await checks.check("no content security policy was breached", async () => assert.deepEqual(ada.complaints, []));
  });
}

async function firstSignIn(world, { page, context }, screens) {
  await page.goto(world.origin + PAGE);
  const popUp = opened(context);
  const answer = page.evaluate(() => window.ask("/api/first", { method: "POST", body: "hello" }));
  await pressLogin(await popUp, world);
  assert.equal(await (await popUp).evaluate(() => window.opener), null, "the IdP has no hold of the application");
  await screens.shoot(await popUp, "pop-up");
  await signInAs(await popUp, "ada");
  assert.deepEqual(await answer, { status: 200, who: "ada@demo.example", method: "POST", type: "text/plain", bytes: 5, text: "hello" });
  assert.equal(page.url(), world.origin + PAGE, "the page itself went nowhere");
  assert.deepEqual(world.application.received.splice(0), ["POST /api/first"]);
}

async function many(world, { page, context }) {
  await loseSession(context);
  const popUps = [];
  context.on("page", (popUp) => popUps.push(popUp));
  const popUp = opened(context);
  const answers = page.evaluate(() => {
    const form = new FormData();
    form.append("file", new File([new Uint8Array(300_000)], "large.bin"));
    const posts = [window.ask("/api/form", { method: "POST", body: form }), window.ask("/api/text", { method: "PUT", body: "text" })];
    const gets = Array.from({ length: 8 }, (_, number) => window.ask(new Request(`/api/${number}`)));
    return Promise.all([...posts, ...gets]);
  });
  await pressKnown(await popUp);
  const [form, text, ...gets] = await answers;
  assert.ok(form.bytes > 300_000 && form.type === "multipart/form-data", JSON.stringify(form));
  assert.deepEqual([text.method, text.text], ["PUT", "text"]);
  assert.deepEqual(gets.map(({ status, who }) => [status, who]), Array(8).fill([200, "ada@demo.example"]));
  assert.equal(popUps.length, 1);
  assert.equal(world.application.received.splice(0).length, 10);
}

async function withoutGesture(world, visitor, screens) {
  const { context } = visitor;
  await loseSession(context);
  const pages = context.pages().length;
  const page = await askQuietly(world, visitor, "/api/polled");
  assert.equal(context.pages().length, pages + 1, "no pop-up without a gesture");
  await screens.inspect(page, "single-page-bar");
  const popUp = opened(context);
  await page.getByRole("button", { name: "Sign in" }).click();
  await pressKnown(await popUp);
  const { status, who } = await quietAnswer(page);
  assert.deepEqual([status, who], [200, "ada@demo.example"]);
  assert.equal(await page.locator("samlgate-bar").count(), 0);
  await page.close();
}

async function cancelled(world, { page, context }) {
  await loseSession(context);
  for (const path of ["/api/cancelled", "/api/again"]) {
    const popUp = opened(context);
    const answers = page.evaluate((path) => Promise.all([window.ask(path), window.ask(path)]), path);
    await (await popUp).waitForURL(/\/saml\/login/);
    await (await popUp).close();
    for (const { status, code } of await answers) assert.deepEqual([status, code], [401, "login_required"]);
  }
}

async function dismissed(world, visitor) {
  const page = await askQuietly(world, visitor, "/api/later");
  await page.getByRole("button", { name: "Not now" }).click();
  const { status, code } = await quietAnswer(page);
  assert.deepEqual([status, code], [401, "login_required"]);
  await page.close();
}

async function aborted(world, { context }) {
  const page = await context.newPage();
  await page.goto(world.origin + PAGE);
  const popUp = opened(context);
  const outcome = page.evaluate(() => {
    window.giveUp = new AbortController();
    return window.ask("/api/given-up", { signal: window.giveUp.signal }).catch((error) => error.name);
  });
  await (await popUp).waitForURL(/\/saml\/login/);
  await page.evaluate(() => window.giveUp.abort());
  assert.equal(await outcome, "AbortError");
  await (await popUp).close();
  await page.close();
}

async function otherWindow(world, visitor) {
  const { page, context } = visitor;
  await loseSession(context);
  const popUp = opened(context);
  const answer = page.evaluate(() => window.ask("/api/here"));
  await (await popUp).waitForURL(/\/saml\/login/);
  const other = await askQuietly(world, visitor, "/api/there");
  await pressKnown(await popUp);
  assert.equal((await answer).status, 200);
  assert.equal((await quietAnswer(other)).status, 200);
  await other.close();
}

async function pretended(world, { page, context }) {
  const pages = context.pages().length;
  assert.equal((await page.evaluate(() => window.ask("/api/refuses"))).status, 401);
  const foreign = await page.evaluate((url) => window.ask(url), `${world.pretender.origin}/`);
  assert.deepEqual(foreign, { status: 401, code: "pretended", login_url: "/saml/login" });
  assert.equal(context.pages().length, pages);
}

async function otherPerson(world, { page, context }) {
  await page.reload();
  await eventually("the page to know who asks", () => page.evaluate(() => window.ask("/saml/userinfo").then(({ status }) => status === 200)));
  await context.clearCookies();
  world.application.received.length = 0;
  const popUp = opened(context);
  const answer = page.evaluate(() => window.ask("/api/mine", { method: "POST", body: "of ada" }));
  await pressLogin(await popUp, world);
  await signInAs(await popUp, "ben");
  assert.deepEqual([(await answer).status, world.application.received], [401, []]);
}

async function unknownSender(world, { page, context }) {
  await page.route("**/saml/userinfo", (route) => route.abort());
  await Promise.all([page.waitForEvent("requestfailed"), page.reload()]);
  await page.unroute("**/saml/userinfo");
  await loseSession(context);
  const popUp = opened(context);
  const answers = page.evaluate(() => Promise.all([window.ask("/api/write", { method: "POST", body: "of whom?" }), window.ask("/api/read")]));
  await pressKnown(await popUp);
  const [write, read] = await answers;
  assert.deepEqual([write.status, read.status], [401, 200]);
  assert.deepEqual(world.application.received.splice(0), ["GET /api/read"]);
}

/**
 * A page that has asked of itself and shows the bar. Playwright's own looks into a page count as gestures, so nothing looks
 * before the page says so.
 */
async function askQuietly(world, { context, page: teller }, target) {
  const page = await context.newPage();
  await page.goto(world.origin + QUIET_PAGE);
  const barIsShown = page.waitForRequest(/bar-is-shown/);
  await teller.evaluate((target) => new BroadcastChannel("test").postMessage({ page: "#quiet", target }), target);
  await barIsShown;
  return page;
}

async function quietAnswer(page) {
  const [answer] = await eventually("the answer", () => page.evaluate(() => window.answers.length > 0 && window.answers));
  return answer;
}

function opened(context) {
  return context.waitForEvent("page");
}

/** As when it has expired. */
function loseSession(context) {
  return context.clearCookies({ name: SESSION_COOKIE });
}

/** At the IdP's form, in a pop-up, to its end. */
async function signInAs(popUp, user) {
  await popUp.fill("input[name=username]", user);
  await popUp.fill("input[name=password]", `${user}-password`);
  await Promise.all([popUp.waitForEvent("close"), popUp.getByRole("button", { name: "Sign in" }).click()]);
}

/** At the login page, in a pop-up, to its end: the IdP still knows the user. */
async function pressKnown(popUp) {
  await Promise.all([popUp.waitForEvent("close"), popUp.getByRole("link", { name: "Login with JumpCloud" }).click()]);
}
