// A single-page application that takes `client.js` as docs/single-page-applications.md says, under a strict content
// security policy, and a neighbour on another origin that pretends to be the gateway.

import { once } from "node:events";
import { createServer } from "node:http";

const POLICY = "default-src 'none'; script-src 'self'; connect-src *; require-trusted-types-for 'script'";

/** What the page does by itself: `ask` sends and tells; the channel has the page of that fragment ask without a gesture. */
const SCRIPT = `
window.ask = async (target, init) => {
  const response = await fetch(target, init);
  return { status: response.status, ...(await response.json()) };
};
window.answers = [];
new BroadcastChannel("test").onmessage = async ({ data: { page, target } }) => {
  if (page === location.hash) window.answers.push(await window.ask(target));
};
new MutationObserver(() => document.querySelector("samlgate-bar") && fetch("/public/bar-is-shown"))
  .observe(document.documentElement, { childList: true });
`;

const PAGE = `<!doctype html><html lang="en"><meta charset="utf-8"><title>A single page</title>
<main><h1>A single page</h1></main><script src="/saml/client.js" data-install></script><script src="/public/page.js"></script>
`;

export async function startSinglePage() {
  const received = [];
  const server = await listening(async (request, response) => {
    const body = Buffer.concat(await request.toArray());
    if (request.url === "/public/page") return answer(response, 200, "text/html", PAGE, { "content-security-policy": POLICY });
    if (request.url === "/public/page.js") return answer(response, 200, "text/javascript", SCRIPT);
    if (request.url.startsWith("/api/")) received.push(`${request.method} ${request.url}`);
    if (request.url === "/api/refuses") return pretend(response, "/saml/login");
    answer(response, 200, "application/json", JSON.stringify({
      who: request.headers["x-forwarded-email"],
      method: request.method,
      type: request.headers["content-type"]?.split(";")[0],
      bytes: body.length,
      text: body.toString().slice(0, 100),
    }));
  });
  return { ...server, received };
}

/** Answers every request as the gateway would, and is not it. */
export function startPretender() {
  return listening((_, response) => pretend(response, "/saml/login", {
    "access-control-allow-origin": "*",
    "access-control-expose-headers": "x-samlgate",
  }));
}

function pretend(response, loginUrl, headers = {}) {
  answer(response, 401, "application/json", JSON.stringify({ code: "pretended", login_url: loginUrl }), { "x-samlgate": "1", ...headers });
}

function answer(response, status, type, body, headers = {}) {
  response.writeHead(status, { "content-type": type, ...headers }).end(body);
}

async function listening(serve) {
  const server = createServer(serve);
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address();
  return {
    port,
    origin: `http://127.0.0.1:${port}`,
    async stop() {
      server.closeAllConnections();
      await once(server.close(), "close");
    },
  };
}
