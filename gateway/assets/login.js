// Browsers keep the fragment of the address that was asked for, across our redirect to this page. The server never sees
// it; as a part of the return URL it comes back from the identity provider.
const LONGEST_RETURN_URL = 4096;

if (location.hash.length > 1) {
  for (const link of document.querySelectorAll("a.button")) {
    const url = new URL(link.href);
    const returnUrl = (url.searchParams.get("rd") ?? "/").split("#")[0] + location.hash;
    if (returnUrl.length <= LONGEST_RETURN_URL) {
      url.searchParams.set("rd", returnUrl);
      link.href = url.href;
    }
  }
}
