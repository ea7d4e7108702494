// An application behind the gateway that shows what reached it, and checks the identity JWT with node's own crypto.

import { createPublicKey, verify } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";

/** `jwks()` fetches the gateway's key set; `issuer` is its public URL, which is the audience as well. */
export async function startApplication({ issuer, jwks }) {
  const received = [];
  const server = createServer(async (request, response) => {
    const body = Buffer.concat(await request.toArray());
    received.push({ method: request.method, target: request.url, headers: request.headers, body });
    const verdict = await judge(request.headers["x-samlgate-jwt-assertion"], { issuer, jwks });
    response.setHeader("content-type", "text/html; charset=utf-8");
    response.end(request.url.startsWith("/form") ? orderForm(request) : page(request, verdict));
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  return {
    port: server.address().port,
    received,
    async stop() {
      server.closeAllConnections();
      await once(server.close(), "close");
    },
  };
}

async function judge(token, { issuer, jwks }) {
  if (!token) return { word: "absent" };
  try {
    return { word: "verified", claims: await claimsOf(token, { issuer, jwks }) };
  } catch (error) {
    return { word: `refused: ${error.message}` };
  }
}

async function claimsOf(token, { issuer, jwks }) {
  const [head, body, signature] = token.split(".");
  const read = (part) => JSON.parse(Buffer.from(part, "base64url"));
  const { alg, kid } = read(head);
  if (alg !== "ES256") throw new Error(`algorithm ${alg}`);
  const jwk = (await jwks()).keys.find((key) => key.kid === kid);
  if (!jwk) throw new Error(`no key ${kid}`);
  const key = { key: createPublicKey({ key: jwk, format: "jwk" }), dsaEncoding: "ieee-p1363" };
  if (!verify("sha256", Buffer.from(`${head}.${body}`), key, Buffer.from(signature, "base64url"))) throw new Error("signature");
  const claims = read(body);
  if (claims.iss !== issuer) throw new Error(`issuer ${claims.iss}`);
  if (![claims.aud].flat().includes(issuer)) throw new Error(`audience ${claims.aud}`);
  if (!(claims.exp > Date.now() / 1000)) throw new Error(`expired ${claims.exp}`);
  return claims;
}

/** With `?file` it takes a file too. */
function orderForm(request) {
  const [encoding, file] = request.url.endsWith("?file")
    ? ["multipart/form-data", '<input type="file" name="file">']
    : ["application/x-www-form-urlencoded", ""];
  return `<!doctype html>
<html lang="en"><meta charset="utf-8"><title>An order</title>
<form method="post" action="/orders?list=a%2Fb" enctype="${encoding}"><input name="item">${file}<button>Order</button></form>
`;
}

function page(request, verdict) {
  const user = request.headers["x-forwarded-user"];
  const groups = (request.headers["x-forwarded-groups"] ?? "").split(",").filter(Boolean);
  const rows = Object.entries(request.headers).map(([name, value]) => `<tr><th>${escape(name)}</th><td>${escape(value)}</td></tr>`);
  return `<!doctype html>
<html lang="en"><meta charset="utf-8"><title>The other application</title>
<h1 id="who">${escape(request.headers["x-forwarded-email"] ?? "Nobody in particular")}</h1>
<p><code id="unique-id">${escape(user ?? "")}</code> ${groups.map((group) => `<span class="group">${escape(group)}</span>`).join(" ")}</p>
<p id="jwt-verdict" class="${verdict.word === "verified" ? "good" : "bad"}">${escape(verdict.word)} ${escape(verdict.claims?.email ?? "")}</p>
<section id="request"><h2><code>${escape(`${request.method} ${request.url}`)}</code></h2><table>${rows.join("")}</table></section>
`;
}

function escape(text) {
  return String(text).replace(/[&<>"']/g, (character) => `&#${character.codePointAt(0)};`);
}
