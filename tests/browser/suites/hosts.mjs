// Several hosts under one sign-in: whether a real browser takes the cookie of their domain, and finds back to each of them.

import assert from "node:assert/strict";

import { asVisitor, enterPassword, pressLogin, whoAmI } from "../lib/steps.mjs";

const SESSION_COOKIE = "__Secure-samlgate";
const ORDERS = "/orders?list=a%2Fb";

/** In the world `severalHosts`: logins are at `world.origin`, forms at `world.forms`, a single page at `world.single`. */
export async function hostsSuite(checks, world, screens) {
  const complaints = [];
  const check = (name, act) => checks.check(name, () => asVisitor(world, async (visitor) => {
    await act(visitor);
    complaints.push(...visitor.complaints);
  }));
  await check("one sign-in serves every host, and leads back to the page that was asked for", async ({ page, context }) => {
    await page.goto(`${world.forms}/deep?x=1#part`);
    await page.waitForURL((url) => url.origin === world.origin && url.pathname === "/saml/login");
    await page.getByText("forms.samlgate.test").waitFor();
    await screens.inspect(page, "login-for-another-host");
    await pressLogin(page, world);
    await enterPassword(page, world, "ada");
    assert.equal(page.url(), `${world.forms}/deep?x=1#part`);
    assert.equal(await whoAmI(page), "ada@demo.example");
    await page.goto(`${world.origin}/other`);
    assert.deepEqual([page.url(), await whoAmI(page)], [`${world.origin}/other`, "ada@demo.example"]);
    const { domain, httpOnly, secure, sameSite, path } = await sessionCookie(context, world);
    assert.deepEqual({ domain, httpOnly, secure, sameSite, path },
      { domain: ".samlgate.test", httpOnly: true, secure: true, sameSite: "Lax", path: "/" });
  });
  await check("a form is sent to the host that it was for", async ({ page, context }) => {
    await signInAt(page, world, `${world.forms}/form`);
    await page.fill("input[name=item]", "é &");
    await context.clearCookies();
    await page.getByRole("button", { name: "Order" }).click();
    await page.getByText("The form that you sent is kept").waitFor();
    await logIn(page, world);
    await page.waitForURL(world.forms + ORDERS);
    const [{ headers, body }, ...more] = world.application.received.filter(({ method }) => method === "POST");
    assert.deepEqual([headers.host, body.toString(), more], [new URL(world.forms).host, "item=%C3%A9+%26", []]);
  });
  await check("a single page of another host signs in by a pop-up that ends on its own", async ({ page, context }) => {
    await page.goto(`${world.single}/public/page`);
    const popUp = context.waitForEvent("page");
    const answer = page.evaluate(() => window.ask("/api/first", { method: "POST", body: "hello" }));
    await pressLogin(await popUp, world);
    await (await popUp).fill("input[name=username]", "ada");
    await (await popUp).fill("input[name=password]", "ada-password");
    const closed = (await popUp).waitForEvent("close");
    await Promise.all([closed, (await popUp).getByRole("button", { name: "Sign in" }).click()]);
    const { status, who, text } = await answer;
    assert.deepEqual([status, who, text], [200, "ada@demo.example", "hello"]);
  });
  await check("signing out at one host signs out of all", async ({ page, context }) => {
    await signInAt(page, world, `${world.forms}/form`);
    await page.goto(`${world.forms}/saml/logout`);
    assert.equal(new URL(page.url()).origin, world.origin);
    await page.getByRole("button", { name: "Sign out", exact: true }).click();
    await page.getByText("has ended").waitFor();
    assert.equal(await sessionCookie(context, world), undefined);
    await page.goto(`${world.forms}/deep`);
    await page.waitForURL((url) => url.pathname === "/saml/login");
  });
  await check("a button of the application signs out too", async ({ page, context }) => {
    await signInAt(page, world, `${world.forms}/form`);
    await page.evaluate(() => {
      const form = Object.assign(document.createElement("form"), { action: "/saml/logout", method: "post" });
      document.body.append(form);
      form.submit();
    });
    await page.getByText("has ended").waitFor();
    assert.equal(await sessionCookie(context, world), undefined);
  });
  await checks.check("no page breached its own content security policy", async () => assert.deepEqual(complaints, []));
}

async function signInAt(page, world, address) {
  await page.goto(address);
  await logIn(page, world);
  await page.waitForURL(address);
}

async function logIn(page, world) {
  await pressLogin(page, world);
  await enterPassword(page, world, "ada");
}

async function sessionCookie(context, world) {
  const cookies = await context.cookies(world.forms);
  return cookies.find(({ name }) => name === SESSION_COOKIE);
}
