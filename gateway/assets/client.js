// For single-page applications: where a request of the page finds no session, its user signs in again in a pop-up, and
// the request is sent once more.
//
//   <script src="/saml/client.js"></script>               samlgate.fetch(...) in place of fetch(...)
//   <script src="/saml/client.js" data-install></script>  fetch(...) itself does it
//
// It asks the page's own origin and no other; requests to others pass through untouched.
(() => {
  "use strict";
  if (window.samlgate) return;

  const POLL_MS = 2_000;
  const PATIENCE_MS = 10_000;
  const SHAPE = "popup,width=520,height=720";

  const { src, dataset } = document.currentScript ?? {};
  if (!src || new URL(src).origin !== self.origin) {
    throw new Error("samlgate: client.js must be a classic script from the page's own origin");
  }
  const prefix = new URL(".", src);
  const plainFetch = window.fetch.bind(window);
  const announcements = new BroadcastChannel("samlgate");

  // What one person meant to send is never sent as another.
  let user = whoAmI();
  let signIns = 0;
  let signingIn;

  async function fetchSignedIn(input, init) {
    if (!isOwn(input)) return plainFetch(input, init);
    const request = new Request(input, init);
    // A request that brings no cookies finds no session, however often its user signs in.
    if (request.credentials === "omit") return plainFetch(request);
    const signInsBefore = signIns;
    const sender = user;
    const response = await plainFetch(request.clone());
    const loginUrl = await loginUrlOf(response);
    if (!loginUrl) return response;
    const isSignedIn = signIns !== signInsBefore || (await unlessAborted(request.signal, signedIn(loginUrl)));
    const mayBeAnybodys = ["GET", "HEAD"].includes(request.method);
    return isSignedIn && (mayBeAnybodys || (await sender) !== undefined) ? plainFetch(request) : response;
  }

  function isOwn(input) {
    try {
      return new URL(input instanceof Request ? input.url : input, document.baseURI).origin === self.origin;
    } catch {
      return false; // fetch words it better.
    }
  }

  /** The gateway's login page, if it is the gateway that says so: it lets nobody else send its header. */
  async function loginUrlOf(response) {
    if (response.status !== 401 || response.type !== "basic" || response.headers.get("x-samlgate") !== "1") return undefined;
    try {
      const url = new URL((await response.clone().json()).login_url);
      if (url.origin !== self.origin || url.pathname !== `${prefix.pathname}login`) return undefined;
      url.searchParams.set("popup", "1");
      return url;
    } catch {
      return undefined;
    }
  }

  /** Null for nobody, undefined if that cannot be said. */
  async function whoAmI() {
    try {
      const signal = AbortSignal.timeout(PATIENCE_MS);
      const response = await plainFetch(new URL("userinfo", prefix), { cache: "no-store", redirect: "error", signal });
      if (response.status === 401) return null;
      if (!response.ok) return undefined;
      const { idp, user } = await response.json();
      return JSON.stringify([idp, user]);
    } catch {
      return undefined;
    }
  }

  function unlessAborted(signal, promise) {
    signal.throwIfAborted();
    const aborted = new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason), { once: true }));
    return Promise.race([promise, aborted]);
  }

  /** One sign-in for all who wait; true if the same person is signed in now. */
  function signedIn(loginUrl) {
    signingIn ??= signIn(loginUrl).then(isStillTheirs).finally(() => (signingIn = undefined));
    return signingIn;
  }

  async function isStillTheirs(now) {
    if (!now) return false;
    const before = await user;
    const isFirst = before === null || before === undefined;
    if (isFirst) user = Promise.resolve(now);
    const isSame = isFirst || before === now;
    if (isSame) signIns += 1;
    return isSame;
  }

  /** Who has signed in, in the end; nobody if the pop-up was closed or the bar dismissed. */
  function signIn(loginUrl) {
    return new Promise((resolve) => {
      let popUp = openPopUp(loginUrl);
      const bar = new Bar({
        onSignIn() {
          popUp = openPopUp(loginUrl);
          if (popUp) bar.hide();
        },
        onDismiss: () => finish(undefined),
      });
      if (!popUp) bar.show();

      const look = async () => {
        // Pages with a Cross-Origin-Opener-Policy make a pop-up look closed that is not; then the user is over there.
        const isLeft = popUp?.closed && document.hasFocus();
        const now = await whoAmI();
        if (now || isLeft) finish(now);
      };
      const poll = () => {
        if (popUp && !document.hidden) look();
      };
      const timer = setInterval(poll, POLL_MS);
      announcements.addEventListener("message", look);
      window.addEventListener("focus", look);

      function finish(now) {
        clearInterval(timer);
        announcements.removeEventListener("message", look);
        window.removeEventListener("focus", look);
        bar.hide();
        popUp?.close();
        resolve(now);
      }
    });
  }

  /** Nothing without a gesture of the user: the browser would block it, and say so. */
  function openPopUp(url) {
    if (navigator.userActivation?.isActive === false) return null;
    const popUp = window.open("about:blank", "_blank", SHAPE);
    if (popUp) {
      // The identity provider's pages get no hold of this one.
      popUp.opener = null;
      popUp.location.replace(url);
    }
    return popUp;
  }

  const STYLE = `
    :host { all: initial; position: fixed; inset: auto 0 0 0; z-index: 2147483647; }
    div {
      display: flex; flex-wrap: wrap; align-items: center; justify-content: center; gap: 0.75rem; padding: 0.75rem 1rem;
      color: #1b1f24; background: #fff; border-top: 1px solid #d9dde3; box-shadow: 0 -4px 16px rgb(16 24 40 / 12%);
      font: 16px/1.5 system-ui, sans-serif;
    }
    button {
      padding: 0.4rem 1rem; color: #1d5bb8; background: transparent; border: 1px solid #1d5bb8; border-radius: 8px;
      font: inherit; cursor: pointer;
    }
    button:first-of-type { color: #fff; background: #1d5bb8; }`;

  /** Across the foot of the page, apart from its styles, and within whatever its content security policy says. */
  class Bar {
    #host = document.createElement("samlgate-bar");

    constructor({ onSignIn, onDismiss }) {
      const root = this.#host.attachShadow({ mode: "open" });
      const sheet = new CSSStyleSheet();
      sheet.replaceSync(STYLE);
      root.adoptedStyleSheets = [sheet];
      const box = document.createElement("div");
      box.setAttribute("role", "alert");
      box.append(text("span", "Your session has ended."), button("Sign in", onSignIn), button("Not now", onDismiss));
      root.append(box);
    }

    show() {
      document.documentElement.append(this.#host);
    }

    hide() {
      this.#host.remove();
    }
  }

  function text(name, content) {
    const element = document.createElement(name);
    element.textContent = content;
    return element;
  }

  function button(content, onClick) {
    const element = text("button", content);
    element.type = "button";
    element.addEventListener("click", onClick);
    return element;
  }

  function install() {
    window.fetch = fetchSignedIn;
  }

  window.samlgate = Object.freeze({ fetch: fetchSignedIn, install });
  if ("install" in dataset) install();
})();
