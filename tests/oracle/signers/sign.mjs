// Signs documents with npm's xml-crypto, and has npm's samlp issue responses of its own.
//
//   node sign.mjs xml-crypto UNSIGNED_FOLDER OUTPUT_FOLDER KEYS_FOLDER FIRST COUNT
//   node sign.mjs "xml-crypto PrefixList" UNSIGNED_FOLDER OUTPUT_FOLDER KEYS_FOLDER FIRST COUNT
//   node sign.mjs samlp - OUTPUT_FOLDER KEYS_FOLDER FIRST COUNT

import { readFileSync, writeFileSync } from "node:fs";
import { deflateRawSync } from "node:zlib";

import samlp from "samlp";
import { SignedXml } from "xml-crypto";

const IDP = "jumpcloud-samlgate";
const SP = "https://app.example.com/saml/metadata";
const ACS = "https://app.example.com/saml/acs";
const REQUEST = "_0123456789abcdef0123456789abcdef01234567";
const EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#";
const INCLUSIVE = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315";
const ENVELOPED = "http://www.w3.org/2000/09/xmldsig#enveloped-signature";

const [signer, unsigned, output, keys, first, count] = process.argv.slice(2);

/** A small generator with a seed (mulberry32), so that each run makes the same documents. */
function drawing(seed) {
  let state = seed;
  return (choices) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return choices[((mixed ^ (mixed >>> 14)) >>> 0) % choices.length];
  };
}

const key = (name) => ({ privateKey: readFileSync(`${keys}/test-${name}.pem`, "utf8"), certificate: readFileSync(`${keys}/test-${name}.crt`, "utf8") });

function xmlCrypto(xml, draw, prefixes) {
  const { privateKey, certificate } = key(draw(["rsa-2048", "rsa-2048", "rsa-4096"]));
  const signed = draw(["assertion", "response", "both"]);
  for (const [element, path] of [["assertion", "/*/*[local-name(.)='Assertion']"], ["response", "/*"]]) {
    if (signed !== element && signed !== "both") continue;
    const canonicalization = draw([EXCLUSIVE, EXCLUSIVE, INCLUSIVE]);
    const signature = new SignedXml({
      privateKey,
      publicCert: certificate,
      idAttribute: "ID",
      signatureAlgorithm: `http://www.w3.org/2001/04/xmldsig-more#rsa-sha${draw(["256", "512"])}`,
      canonicalizationAlgorithm: canonicalization,
    });
    signature.addReference({
      // It writes a PrefixList into the enveloped transform too, under a namespace of its invention.
      inclusiveNamespacesPrefixList: prefixes,
      xpath: path,
      transforms: [ENVELOPED, draw([EXCLUSIVE, EXCLUSIVE, INCLUSIVE])],
      digestAlgorithm: `http://www.w3.org/2001/04/xmlenc#sha${draw(["256", "512"])}`,
    });
    signature.computeSignature(xml, {
      prefix: draw(["ds", "", "sig"]),
      location: { reference: `${path}/*[local-name(.)='Issuer']`, action: "after" },
    });
    xml = signature.getSignedXml();
  }
  return xml;
}

function samlpResponse(draw) {
  const { privateKey, certificate } = key(draw(["rsa-2048", "rsa-4096"]));
  const user = { email: "ada@example.com", sub: "5f3c0de5f3c0de5f3c0de5f3", memberOf: draw([["admins"], ["admins", "Ärzte & Co"], ["a", "b", "c"]]), note: draw(["plain", "1 < 2 & 3 > 2", "田中", '"quoted"']) };
  const request = `<samlp:AuthnRequest xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="${REQUEST}" Version="2.0" IssueInstant="${new Date().toISOString()}" AssertionConsumerServiceURL="${ACS}"><saml:Issuer>${SP}</saml:Issuer></samlp:AuthnRequest>`;
  return new Promise((resolve, reject) => {
    const endpoint = samlp.auth({
      issuer: IDP,
      key: privateKey,
      cert: certificate,
      signResponse: draw([true, false, true]),
      signatureAlgorithm: "rsa-sha256",
      digestAlgorithm: "sha256",
      signatureNamespacePrefix: draw([undefined, "ds"]),
      lifetimeInSeconds: 300,
      destination: ACS,
      recipient: ACS,
      sessionIndex: "s1",
      authnContextClassRef: "urn:oasis:names:tc:SAML:2.0:ac:classes:Password",
      includeAttributeNameFormat: draw([true, false]),
      typedAttributes: draw([true, false]),
      getUserFromRequest: () => user,
      profileMapper: () => ({
        getClaims: () => user,
        getNameIdentifier: () => ({ nameIdentifier: draw([user.email, "Łucja & Co"]), nameIdentifierFormat: "urn:oasis:names:tc:SAML:1.0:nameid-format:unspecified" }),
      }),
      getPostURL: (audience, dom, _, done) => done(null, ACS),
      responseHandler: (message) => resolve(message.toString()),
    });
    const query = { SAMLRequest: deflateRawSync(Buffer.from(request)).toString("base64") };
    endpoint({ method: "GET", query, body: {}, user }, {}, reject);
  });
}

for (let seed = Number(first); seed < Number(first) + Number(count); seed++) {
  const name = `${String(seed).padStart(4, "0")}.xml`;
  const draw = drawing(seed);
  const xml = signer === "samlp" ? await samlpResponse(draw) : xmlCrypto(readFileSync(`${unsigned}/${name}`, "utf8"), draw, signer === "xml-crypto" ? [] : ["xs", "xsi"]);
  writeFileSync(`${output}/${signer}-${name}`, xml);
}
