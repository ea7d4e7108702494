// npm's samlp behind express, as ISSUER_FILE says: people, service providers, and what is signed for each of them.

import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

import express from "express";
import samlp from "samlp";

const SessionParticipants = createRequire(import.meta.url)("samlp/lib/sessionParticipants");

const issuer = JSON.parse(readFileSync(process.env.ISSUER_FILE, "utf8"));
const key = readFileSync(issuer.key_file, "utf8");
const cert = readFileSync(issuer.certificate_file, "utf8");
const COOKIE = "samlp-issuer";
const UNSPECIFIED = "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified";
/** From the cookie to who it is and which service providers were told so. */
const sessions = new Map();

const app = express();
app.disable("x-powered-by");
app.use(express.urlencoded({ extended: false }));

app.get("/ready", (_, response) => response.send("ready"));

app.all("/sso", (request, response, next) => {
  const session = sessions.get(cookie(request));
  if (!session) return response.send(loginPage({ ...request.query, ...request.body }));
  samlp.parseRequest(request, {}, (error, { issuer: entityId } = {}) => {
    if (error) return next(error);
    const sp = issuer.service_providers.find((each) => each.entity_id === entityId);
    if (!sp) return response.status(403).send(`unknown service provider ${entityId}`);
    signIn(session, sp)(request, response, next);
  });
});

app.post("/login", (request, response) => {
  const { username, password, ...rest } = request.body;
  const person = issuer.people.find((each) => each.username === username && password === username);
  if (!person) return response.status(401).send(loginPage(rest));
  const id = randomBytes(16).toString("hex");
  sessions.set(id, { person, participants: [] });
  response.cookie(COOKIE, id, { httpOnly: true, secure: true, sameSite: "none" });
  response.redirect(303, `/sso?${new URLSearchParams(rest)}`);
});

app.all("/logout", (request, response, next) => {
  // Without a parameter this is where a logout begins that the IdP itself wants.
  request.query ??= {};
  request.body ??= {};
  const id = cookie(request);
  const session = sessions.get(id);
  if (!session) return response.status(403).send("nobody is signed in");
  samlp.logout({
    issuer: issuer.entity_id,
    key,
    cert,
    deflate: true,
    sessionParticipants: new SessionParticipants(session.participants),
    store: new LogoutStates(session),
    clearIdPSession(done) {
      sessions.delete(id);
      done();
    },
  })(request, response, next);
});

app.use((error, _request, response, _next) => {
  console.error(error);
  response.status(500).send(escape(error.message));
});

app.listen(issuer.port, "127.0.0.1");

/** samlp's endpoint for this person at this service provider. */
function signIn({ person, participants }, sp) {
  const sessionIndex = randomBytes(8).toString("hex");
  if (sp.slo_url) {
    participants.push({
      serviceProviderId: sp.entity_id,
      nameId: person.email,
      nameIdFormat: UNSPECIFIED,
      sessionIndex,
      serviceProviderLogoutURL: sp.slo_url,
      binding: `urn:oasis:names:tc:SAML:2.0:bindings:HTTP-${sp.slo_binding === "post" ? "POST" : "Redirect"}`,
      cert: sp.signing_certificate,
    });
  }
  return samlp.auth({
    issuer: issuer.entity_id,
    key,
    cert,
    signAssertion: sp.signs !== "response",
    signResponse: sp.signs !== "assertion",
    lifetimeInSeconds: 300,
    destination: sp.acs_url,
    recipient: sp.acs_url,
    sessionIndex,
    ...(sp.signed_requests && { signingCert: sp.signing_certificate }),
    authnContextClassRef: "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport",
    ...(sp.encryption && {
      encryptionCert: sp.encryption_certificate,
      encryptionPublicKey: sp.encryption_certificate,
    }),
    getUserFromRequest: () => person,
    profileMapper: claims,
    getPostURL: (_audience, _request, _http, done) => done(null, sp.acs_url),
  });
}

function claims(person) {
  return {
    getClaims: () => ({
      email: person.email,
      sub: person.id,
      firstname: person.first_name,
      lastname: person.last_name,
      memberOf: person.groups,
    }),
    getNameIdentifier: () => ({ nameIdentifier: person.email, nameIdentifierFormat: UNSPECIFIED }),
  };
}

/** What samlp must remember of a logout between its messages. */
class LogoutStates {
  constructor(session) {
    this.states = session.logouts ??= new Map();
  }

  save(_request, state, done) {
    const handle = randomBytes(12).toString("hex");
    this.states.set(handle, state);
    done(null, handle);
  }

  load(_request, handle, options, done = options) {
    const state = this.states.get(handle);
    if (options.destroy) this.states.delete(handle);
    done(null, state);
  }

  update(_request, handle, state, done) {
    this.states.set(handle, state);
    done(null, handle);
  }

  destroy(_request, handle, done) {
    this.states.delete(handle);
    done();
  }
}

function cookie(request) {
  const pairs = (request.headers.cookie ?? "").split(";").map((pair) => pair.trim().split("="));
  return pairs.find(([name]) => name === COOKIE)?.[1];
}

function loginPage(parameters) {
  const hidden = Object.entries(parameters).map(([name, value]) => `<input type="hidden" name="${escape(name)}" value="${escape(value)}">`);
  return `<!doctype html><title>samlp</title><form method="post" action="/login">${hidden.join("")}
<input name="username"><input name="password" type="password"><button>Sign in</button></form>`;
}

function escape(text) {
  return String(text).replace(/[&<>"]/g, (character) => `&#${character.codePointAt(0)};`);
}
