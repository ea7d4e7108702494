// A second JumpCloud double, issued by software that is not ours: npm `samlp` behind express.

import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import { createServer as createTlsServer } from "node:https";

import express from "express";
import samlp from "samlp";

import { signingKey } from "./lib/keys.mjs";

const COOKIE = "samlp-idp";
const UNSPECIFIED = "urn:oasis:names:tc:SAML:1.0:nameid-format:unspecified";
const USERS = [
  { username: "ada", id: "5f1e0000000000000000ada1", firstname: "Ada", lastname: "Lovelace", groups: ["admins", "engineers"] },
  { username: "ben", id: "5f1e0000000000000000be02", firstname: "Ben", lastname: "Franklin", groups: ["engineers"] },
  { username: "cyd", id: "5f1e0000000000000000cd03", firstname: "Cyd", lastname: "Charisse", groups: [] },
].map((user) => ({ ...user, email: `${user.username}@demo.example`, password: `${user.username}-password` }));

/**
 * `sp` is the only service provider it knows: its entity ID and ACS URL. `origin` is where browsers reach it, by
 * default its own address; with `tls` (key and cert) it speaks https.
 */
export async function startSamlpIdp({ folder, sp, tls, origin }) {
  const own = await signingKey(folder, "samlp-idp");
  const stranger = await signingKey(folder, "samlp-stranger");
  const settings = { sign: "both", signer: "own", tampered: false };
  const idp = { entityId: "samlp-samlgate", certificate: own.certificate, requests: [] };
  const app = router({ idp, sp, settings, own, stranger });

  const server = tls ? createTlsServer(tls, app) : createServer(app);
  await once(server.listen(0, "127.0.0.1"), "listening");
  idp.port = server.address().port;
  idp.origin = origin ?? `http://127.0.0.1:${idp.port}`;
  idp.ssoUrl = `${idp.origin}/sso`;
  idp.set = async (changes) => void Object.assign(settings, changes);
  idp.stop = async () => {
    server.closeAllConnections();
    await once(server.close(), "close");
  };
  return idp;
}

function router({ idp, sp, settings, own, stranger }) {
  const sessions = new Map();
  const app = express();
  app.disable("x-powered-by");
  app.use(express.urlencoded({ extended: false }));

  app.all("/sso", (request, response, next) => {
    idp.requests.push(request.method);
    const user = sessions.get(cookie(request));
    const parameters = { ...request.query, ...request.body };
    if (!user) return response.send(loginPage(parameters));
    if (user.groups.length === 0) return response.status(403).send(page("You are not authorized to use this application", ""));
    answer(user)(request, response, next);
  });

  app.post("/login", (request, response) => {
    const { username, password, SAMLRequest, RelayState } = request.body;
    const user = USERS.find((each) => each.username === username && each.password === password);
    if (!user) return response.status(401).send(loginPage({ SAMLRequest, RelayState }));
    const session = randomBytes(16).toString("hex");
    sessions.set(session, user);
    response.cookie(COOKIE, session, { httpOnly: true, secure: true, sameSite: "none" });
    response.redirect(303, `/sso?${new URLSearchParams({ SAMLRequest, RelayState })}`);
  });

  /** The samlp endpoint for this user, under the settings of the moment. */
  function answer(user) {
    const { key, certificate } = settings.signer === "own" ? own : stranger;
    return samlp.auth({
      issuer: idp.entityId,
      key,
      cert: certificate,
      signResponse: settings.sign === "both",
      lifetimeInSeconds: 300,
      destination: sp.acsUrl,
      recipient: sp.acsUrl,
      sessionIndex: randomBytes(8).toString("hex"),
      authnContextClassRef: "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport",
      getUserFromRequest: () => user,
      profileMapper: claims,
      getPostURL: (audience, request, _, done) => {
        const acsUrl = request?.documentElement.getAttribute("AssertionConsumerServiceURL");
        const isKnown = audience === sp.entityId && acsUrl === sp.acsUrl;
        done(isKnown ? null : new Error(`unknown service provider ${audience} at ${acsUrl}`), acsUrl);
      },
      responseHandler: (message, options, request, response) => {
        response.send(postPage(options.postUrl, tampered(message.toString(), user), { ...request.query, ...request.body }.RelayState));
      },
    });
  }

  /** Whoever signs in becomes ada, after signing. */
  function tampered(xml, user) {
    return settings.tampered ? xml.replaceAll(user.email, USERS[0].email).replaceAll(user.id, USERS[0].id) : xml;
  }

  return app;
}

function claims(user) {
  return {
    getClaims: () => ({
      email: user.email,
      sub: user.id,
      firstname: user.firstname,
      lastname: user.lastname,
      memberOf: user.groups,
    }),
    getNameIdentifier: () => ({ nameIdentifier: user.email, nameIdentifierFormat: UNSPECIFIED }),
  };
}

function cookie(request) {
  const pairs = (request.headers.cookie ?? "").split(";").map((pair) => pair.trim().split("="));
  return pairs.find(([name]) => name === COOKIE)?.[1];
}

function loginPage({ SAMLRequest = "", RelayState = "" }) {
  return page("User login", `<form method="post" action="/login">
<input type="hidden" name="SAMLRequest" value="${escape(SAMLRequest)}"><input type="hidden" name="RelayState" value="${escape(RelayState)}">
<p><label>User name <input name="username"></label> <label>Password <input name="password" type="password"></label> <button>Sign in</button></p>
</form>`);
}

function postPage(acsUrl, xml, relayState = "") {
  return page("Signing you in", `<form method="post" action="${escape(acsUrl)}">
<input type="hidden" name="SAMLResponse" value="${Buffer.from(xml).toString("base64")}"><input type="hidden" name="RelayState" value="${escape(relayState)}">
</form><script>document.forms[0].submit()</script>`);
}

function page(title, content) {
  return `<!doctype html><html lang="en"><meta charset="utf-8"><title>${title}</title><h1>${title}</h1>${content}`;
}

function escape(text) {
  return String(text).replace(/[&<>"']/g, (character) => `&#${character.codePointAt(0)};`);
}
