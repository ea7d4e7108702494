// A proxy in front of the gateway that does what proxies in front of gateways should not.

import { once } from "node:events";
import { createServer, request as onward } from "node:http";

export async function startProxy(target) {
  const proxy = {};
  /** It does nothing wrong. */
  proxy.behave = () => Object.assign(proxy, { setCookie: (line) => line, canonical: undefined });
  proxy.behave();

  const server = createServer((request, response) => {
    const { method, url: path, headers } = request;
    const { setCookie, canonical } = proxy;
    if (canonical && method === "GET" && headers.host !== canonical) {
      return response.writeHead(302, { location: `http://${canonical}${path}` }).end();
    }
    const host = canonical ? `localhost:${proxy.port}` : headers.host;
    const sent = onward({ host: "127.0.0.1", port: target, method, path, headers: { ...headers, host } }, (answer) => {
      const cookies = (answer.headers["set-cookie"] ?? []).map(setCookie).filter(Boolean);
      response.writeHead(answer.statusCode, { ...answer.headers, "set-cookie": cookies });
      answer.pipe(response);
    });
    sent.on("error", () => response.destroy());
    request.pipe(sent);
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  proxy.port = server.address().port;
  proxy.stop = async () => {
    server.closeAllConnections();
    await once(server.close(), "close");
  };
  return proxy;
}
