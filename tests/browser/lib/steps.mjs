// What a person does, step by step.

import { Visitor } from "./chromium.mjs";

export const SESSION_COOKIE = "__Host-samlgate";
export const LOGIN_COOKIE = "__Host-samlgate-login";
export const PREFIX = "/saml/";

const BUTTON = "Login with JumpCloud";

/** Runs `act` with a browser that nobody has used before. */
export async function asVisitor(world, act) {
  const visitor = await Visitor.arrive(world.browser);
  try {
    await act(visitor);
  } finally {
    await visitor.leave();
  }
}

/** From the gateway's login page to the IdP. */
export async function pressLogin(page, world) {
  await page.getByRole("link", { name: BUTTON }).click();
  await page.waitForURL((url) => url.origin === world.idp.origin);
}

/** At the IdP's form. Resolves when a page outside the IdP stands, or one of the IdP's own that is no form. */
export async function enterPassword(page, world, user) {
  const form = page.url();
  await page.fill("input[name=username]", user);
  await page.fill("input[name=password]", `${user}-password`);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.waitForFunction(
    ([origin, form]) => document.readyState === "complete" && document.forms[0]?.querySelector("[name=SAMLResponse]") == null
      && (location.origin !== origin || location.href !== form || !document.querySelector("[name=password]")),
    [world.idp.origin, form],
  );
}

/** From a first visit at `path` to wherever the sign-in ends. */
export async function signIn(visitor, world, user, path = "/") {
  const { page } = visitor;
  await page.goto(world.origin + path);
  await pressLogin(page, world);
  await enterPassword(page, world, user);
}

/** What the page of a refusal says: its code, once it stands. */
export async function refusalCode(page) {
  return page.locator("dl.facts dd").first().innerText();
}

/** Waits until the browser shows a page of the application, and returns who it says the user is. */
export async function whoAmI(page) {
  return page.locator("#who").innerText();
}
