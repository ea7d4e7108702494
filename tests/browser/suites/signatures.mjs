// What only a verifier that verifies refuses. With its signature check off, the checks here must fail.

import assert from "node:assert/strict";

import { Admitted } from "../lib/checks.mjs";
import { asVisitor, refusalCode, SESSION_COOKIE, signIn, whoAmI } from "../lib/steps.mjs";

/** Notices a verifier that takes any signature. */
export async function strangerSuite(checks, world) {
  await checks.check("control: a response signed by the pinned key is accepted", () =>
    asVisitor(world, async (ben) => {
      await signIn(ben, world, "ben");
      assert.equal(await whoAmI(ben.page), "ben@demo.example");
    }));
  await checks.refuses("a response signed by a stranger's key is refused", () =>
    refused(world, { signer: "stranger" }, "signed_by_unknown_key"));
}

export async function tamperSuite(checks, world) {
  await checks.check("a response changed after signing is refused", () =>
    refused(world, { tampered: true }, "digest_mismatch"));
}

async function refused(world, changes, code) {
  await world.idp.set(changes);
  try {
    await asVisitor(world, async (ben) => {
      await signIn(ben, world, "ben");
      const session = await ben.cookie(world.origin, SESSION_COOKIE);
      if (session) throw new Admitted(`signed in as ${await whoAmI(ben.page)}`);
      assert.equal(await refusalCode(ben.page), code);
    });
  } finally {
    await world.idp.set({ sign: "both", signer: "own", tampered: false });
  }
}
