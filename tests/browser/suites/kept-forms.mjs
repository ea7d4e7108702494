// A form that is sent after its session has ended, in a real browser: it decides which headers and cookies come with it.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";

import { asVisitor, enterPassword, pressLogin, refusalCode, signIn } from "../lib/steps.mjs";

const FORM_COOKIE = "__Host-samlgate-form-";
const ORDERS = "/orders?list=a%2Fb";

/** In a world with the application of `application.mjs`, which has the form and records what arrives. */
export async function keptFormsSuite(checks, world, screens) {
  const complaints = [];
  const check = (name, act) => checks.check(name, () => asVisitor(world, async (visitor) => {
    const before = posts(world).length;
    await act(visitor, () => posts(world).slice(before));
    complaints.push(...visitor.complaints);
  }));
  await check("a form is kept, and sent after the login by the button where the script does not come", async ({ page, context }, sent) => {
    const isOnReplay = (route) => new URL(route.request().frame().url()).pathname === "/saml/replay";
    await page.route("**/post.js*", (route) => (isOnReplay(route) ? route.abort() : route.continue()));
    await formAfterTheSession({ page, context }, world);
    await page.getByText("The form that you sent is kept").waitFor();
    await screens.inspect(page, "login-form-kept");
    assert.deepEqual(await keepsFormCookie(context, world), { httpOnly: true, secure: true, sameSite: "Lax", path: "/" });
    await logIn(page, world);
    await page.getByRole("button", { name: "Send the form" }).waitFor();
    await screens.inspect(page, "replay");
    assert.equal(sent().length, 0);
    await page.getByRole("button", { name: "Send the form" }).click();
    await arrived(page, world);
    const [{ headers, body }, ...more] = sent();
    assert.deepEqual(more, []);
    assert.equal(headers["content-type"], "application/x-www-form-urlencoded");
    assert.equal(body.toString(), "item=%C3%A9+%26");
    assert.deepEqual(await formCookies(context, world), []);
  });
  await check("a multipart form with a file comes byte for byte, by the script", async (ada, sent) => {
    const file = randomBytes(600_000);
    await formAfterTheSession(ada, world, file);
    await logIn(ada.page, world);
    await arrived(ada.page, world);
    const [{ headers, body }, ...more] = sent();
    assert.deepEqual(more, []);
    assert.match(headers["content-type"], /^multipart\/form-data; boundary=/);
    assert.equal(headers["content-length"], String(body.length));
    assert.ok(body.includes(file), "the file");
    assert.ok(body.includes('filename="order.bin"') && body.includes("é &"), "the fields");
  });
  await check("a reload of the page that follows sends nothing again, and no handle either", async ({ page, context }, sent) => {
    await formAfterTheSession({ page, context }, world);
    await logIn(page, world);
    await arrived(page, world);
    assert.equal((await page.reload()).status(), 410);
    assert.equal(await refusalCode(page), "form_of_other_browser");
    assert.equal(sent().length, 1);
  });
  await check("a form of another site is not kept", async ({ page, context }, sent) => {
    await page.goto(`${world.idp.origin}/`);
    await page.evaluate((action) => {
      const form = Object.assign(document.createElement("form"), { action, method: "post" });
      form.append(Object.assign(document.createElement("input"), { name: "item", value: "evil" }));
      document.body.append(form);
      form.submit();
    }, world.origin + ORDERS);
    await page.waitForURL((url) => url.pathname === "/saml/login" && !url.searchParams.has("form"));
    assert.equal(await page.locator(".notice").count(), 0);
    assert.deepEqual(await formCookies(context, world), []);
    await logIn(page, world);
    await arrived(page, world);
    assert.deepEqual(sent(), []);
  });
  await check("of a form that is too large the login page says so", async (ada, sent) => {
    await formAfterTheSession(ada, world, randomBytes(3_000_000));
    await ada.page.getByText("The form that you sent will be lost").waitFor();
    await screens.inspect(ada.page, "login-form-lost");
    await logIn(ada.page, world);
    await arrived(ada.page, world);
    assert.deepEqual(sent(), []);
  });
  await check("a form that is not there any more is told, and its page offered", async ({ page, context }, sent) => {
    await formAfterTheSession({ page, context }, world);
    const login = page.url();
    const old = await formCookies(context, world);
    await logIn(page, world);
    await arrived(page, world);
    await context.addCookies(old);
    await page.goto(login);
    assert.equal(await refusalCode(page), "form_expired");
    await screens.inspect(page, "refusal-form-expired");
    await page.getByRole("link", { name: "Open the page" }).click();
    await arrived(page, world);
    assert.equal(sent().length, 1);
  });
  await check("another browser cannot send it, and its own still can", async (ada, sent) => {
    await formAfterTheSession(ada, world);
    await asVisitor(world, async ({ page }) => {
      await page.goto(ada.page.url());
      await logIn(page, world);
      assert.equal(await refusalCode(page), "form_of_other_browser");
      assert.deepEqual(sent(), []);
    });
    await logIn(ada.page, world);
    await arrived(ada.page, world);
    assert.equal(sent().length, 1);
  });
  await checks.check("no page on the way of a form breaches its own content security policy", async () => {
    assert.deepEqual(complaints.filter((complaint) => !complaint.includes("post.js")), []);
  });
}

/** Fills in the form, lets the session end as browsers let it, and sends it; the login page stands then. */
async function formAfterTheSession(visitor, world, file) {
  const { page, context } = visitor;
  await signIn(visitor, world, "ada", file ? "/form?file" : "/form");
  await page.fill("input[name=item]", "é &");
  if (file) await page.setInputFiles("input[type=file]", { name: "order.bin", mimeType: "application/octet-stream", buffer: file });
  await context.clearCookies();
  await page.getByRole("button", { name: "Order" }).click();
  await page.waitForURL((url) => url.pathname === "/saml/login");
}

async function logIn(page, world) {
  await pressLogin(page, world);
  await enterPassword(page, world, "ada");
}

/** The application's answer to the form's address. */
async function arrived(page, world) {
  await page.waitForURL(world.origin + ORDERS);
  await page.locator("#request").waitFor();
}

async function formCookies(context, world) {
  return (await context.cookies(world.origin)).filter(({ name }) => name.startsWith(FORM_COOKIE));
}

async function keepsFormCookie(context, world) {
  const [{ httpOnly, secure, sameSite, path, expires }] = await formCookies(context, world);
  const left = expires - Date.now() / 1000;
  assert.ok(left > 800 && left <= 900, `${left} s`);
  return { httpOnly, secure, sameSite, path };
}

function posts(world) {
  return world.application.received.filter(({ method, target }) => method === "POST" && target === ORDERS);
}
