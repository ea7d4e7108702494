// Keys and certificates made on the spot with openssl.

import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { output } from "./processes.mjs";

/** A self-signed certificate as an IdP has one: its key is pinned, its names and dates mean nothing. */
export async function signingKey(folder, name) {
  const [keyFile, certificateFile] = [join(folder, `${name}.key`), join(folder, `${name}.pem`)];
  await output("openssl", ["req", "-x509", "-newkey", "rsa:2048", "-sha256", "-nodes", "-days", "30",
    "-subj", `/CN=${name}`, "-keyout", keyFile, "-out", certificateFile]);
  return { key: await readFile(keyFile, "utf8"), certificate: await readFile(certificateFile, "utf8") };
}

/** A certification authority of our own and a server certificate for each domain, or for the first of a list for all of it. */
export async function authority(folder, domains) {
  const [caKey, caFile] = [join(folder, "ca.key"), join(folder, "ca.pem")];
  await output("openssl", ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-sha256", "-nodes",
    "-days", "30", "-subj", "/CN=samlgate browser suite", "-addext", "basicConstraints=critical,CA:TRUE",
    "-addext", "keyUsage=critical,keyCertSign", "-keyout", caKey, "-out", caFile]);
  const certificates = {};
  for (const [domain, ...others] of domains.map((domain) => [domain].flat())) {
    const [keyFile, requestFile, certificateFile] = ["key", "csr", "crt"].map((end) => join(folder, `${domain}.${end}`));
    const extensions = join(folder, `${domain}.ext`);
    await writeFile(extensions, `subjectAltName=${[domain, ...others].map((name) => `DNS:${name}`)}\nextendedKeyUsage=serverAuth\n`);
    await output("openssl", ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
      "-subj", `/CN=${domain}`, "-keyout", keyFile, "-out", requestFile]);
    await output("openssl", ["x509", "-req", "-sha256", "-days", "30", "-in", requestFile, "-CA", caFile, "-CAkey", caKey,
      "-CAcreateserial", "-extfile", extensions, "-out", certificateFile]);
    certificates[domain] = {
      keyFile,
      certificateFile,
      key: await readFile(keyFile, "utf8"),
      cert: await readFile(certificateFile, "utf8"),
    };
  }
  return { caFile, ca: await readFile(caFile, "utf8"), certificates };
}
