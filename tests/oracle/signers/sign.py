"""Signs generated documents with Python's signxml and with xmlsec1, and has pysaml2 issue responses of its own.

    sign.py SIGNER FIRST_SEED COUNT OUTPUT_FOLDER KEYS_FOLDER
    sign.py unsigned FIRST_SEED COUNT OUTPUT_FOLDER KEYS_FOLDER
    sign.py respell FIRST_SEED COUNT FOLDER SIGNER...
"""

import random
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import documents as d

DS = "http://www.w3.org/2000/09/xmldsig#"
EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"
INCLUSIVE = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
INCLUSIVE_11 = "http://www.w3.org/2006/12/xml-c14n11"
HASHES = ["256", "384", "512"]
SIGNED = ["assertion", "response", "both"]


def digest_uri(bits):
    return {"256": "http://www.w3.org/2001/04/xmlenc#sha256", "384": "http://www.w3.org/2001/04/xmldsig-more#sha384", "512": "http://www.w3.org/2001/04/xmlenc#sha512"}[bits]


def id_of(xml, element):
    letter = {"response": "_r", "assertion": "_a"}[element]
    return re.search(f'ID="({letter}[0-9a-f]{{32}})"', xml)[1]


def insert_after_issuer(xml, element, signature):
    """After the Issuer of the Response, which is the first, or of the Assertion, which is the second."""
    ends = [match.end() for match in re.finditer(r"</(?:[\w.-]+:)?Issuer>", xml)]
    at = ends[0 if element == "response" else 1]
    return xml[:at] + signature + xml[at:]


# ---- xmlsec1


def template(draw, uri, key):
    prefix, bits, gap = draw.choice(["ds:", "", "dsig:", "ns7:"]), draw.choice(HASHES), draw.choice(["", "\n", "\n    "])
    family = "ecdsa" if key == "p256" else "rsa"
    attribute = f"xmlns:{prefix[:-1]}" if prefix else "xmlns"
    canonical = [EXCLUSIVE, EXCLUSIVE, INCLUSIVE, INCLUSIVE_11]

    def method(local):
        algorithm = draw.choice(canonical)
        if algorithm == EXCLUSIVE and draw.random() < 0.5:
            # Between two spaces xmlsec1 reads an empty prefix, the default namespace; nobody else does.
            prefixes = draw.choice(["xs", "xs xsi", "#default", "#default saml xs foo", "gone"])
            ec = draw.choice([("ec:", "xmlns:ec"), ("", "xmlns")])
            return f'<{prefix}{local} Algorithm="{algorithm}"><{ec[0]}InclusiveNamespaces {ec[1]}="{EXCLUSIVE}" PrefixList="{prefixes}"/></{prefix}{local}>'
        return f'<{prefix}{local} Algorithm="{algorithm}"/>'

    info = [
        method("CanonicalizationMethod"),
        f'<{prefix}SignatureMethod Algorithm="http://www.w3.org/2001/04/xmldsig-more#{family}-sha{bits}"/>',
        f'<{prefix}Reference URI="#{uri}">' + gap.join([
            f"<{prefix}Transforms>",
            f'<{prefix}Transform Algorithm="{DS}enveloped-signature"/>',
            method("Transform"),
            f"</{prefix}Transforms>",
            f'<{prefix}DigestMethod Algorithm="{digest_uri(draw.choice(HASHES))}"/>',
            f"<{prefix}DigestValue/>",
        ]) + f"</{prefix}Reference>",
    ]
    key_info = f"<{prefix}KeyInfo><{prefix}X509Data/></{prefix}KeyInfo>" if draw.random() < 0.6 else ""
    return f'<{prefix}Signature {attribute}="{DS}">{gap}<{prefix}SignedInfo>{gap.join(info)}</{prefix}SignedInfo>{gap}<{prefix}SignatureValue/>{key_info}</{prefix}Signature>'


def xmlsec1(xml, seed, keys):
    draw = random.Random(seed)
    key = draw.choice(["rsa-2048", "rsa-2048", "rsa-4096", "p256"])
    signed = draw.choice(SIGNED)
    for element in ["assertion", "response"]:
        if signed not in (element, "both"):
            continue
        xml = insert_after_issuer(xml, element, template(draw, id_of(xml, element), key))
        path = "/*" if element == "response" else "/*/*[local-name()='Assertion']"
        with tempfile.NamedTemporaryFile("w", suffix=".xml", encoding="utf-8", newline="") as file:
            file.write(xml)
            file.flush()
            command = ["xmlsec1", "--sign", "--privkey-pem", f"{keys}/test-{key}.pem,{keys}/test-{key}.crt"]
            command += ["--id-attr:ID", f"{d.SAMLP}:Response", "--id-attr:ID", f"{d.SAML}:Assertion"]
            command += ["--node-xpath", f"{path}/*[local-name()='Signature']", file.name]
            done = subprocess.run(command, capture_output=True, check=False)
        if done.returncode:
            raise RuntimeError(done.stderr.decode())
        xml = done.stdout.decode()
    return xml


# ---- signxml


def signxml(xml, seed, keys):
    from lxml import etree
    from signxml import XMLSigner, methods

    draw = random.Random(seed)
    key = draw.choice(["rsa-2048", "rsa-2048", "rsa-4096", "p256"])
    private, certificate = (Path(keys, f"test-{key}.{suffix}").read_bytes() for suffix in ("pem", "crt"))
    signed = draw.choice(SIGNED)
    root = etree.fromstring(xml.encode())

    def sign(element, canonical):
        bits = draw.choice(HASHES)
        signer = XMLSigner(
            method=methods.enveloped,
            signature_algorithm=("ecdsa" if key == "p256" else "rsa") + "-sha" + bits,
            digest_algorithm="sha" + draw.choice(HASHES),
            c14n_algorithm=canonical,
        )
        signer.namespaces = draw.choice([{"ds": DS}, {None: DS}, {"sig": DS}])
        element.insert(1, etree.Element(f"{{{DS}}}Signature", Id="placeholder", nsmap=signer.namespaces))
        # The inclusive form of an Assertion depends on where it stands, and this signer takes it out.
        return signer.sign(element, key=private, cert=certificate.decode(), reference_uri="#" + element.get("ID"), id_attribute="ID")

    if signed in ("assertion", "both"):
        assertion = root.find(f"{{{d.SAML}}}Assertion")
        tail, at = assertion.tail, root.index(assertion)
        new = sign(assertion, EXCLUSIVE)
        new.tail = tail
        root.remove(assertion)
        root.insert(at, new)
    if signed in ("response", "both"):
        root = sign(root, draw.choice([EXCLUSIVE, INCLUSIVE, INCLUSIVE_11]))
    return etree.tostring(root, encoding="unicode")


# ---- pysaml2, which writes the whole response


def pysaml2(seed, keys):
    from saml2 import config, server
    from saml2.saml import NAMEID_FORMAT_UNSPECIFIED, NameID

    draw = random.Random(seed)
    key = draw.choice(["rsa-2048", "rsa-4096"])
    settings = {
        "entityid": d.IDP,
        "service": {"idp": {"endpoints": {"single_sign_on_service": []}, "policy": {"default": {"lifetime": {"minutes": 5}, "attribute_restrictions": None, "name_form": "urn:oasis:names:tc:SAML:2.0:attrname-format:unspecified"}}}},
        "key_file": f"{keys}/test-{key}.pem",
        "cert_file": f"{keys}/test-{key}.crt",
        "xmlsec_binary": "/usr/bin/xmlsec1",
        "metadata": {"inline": [SP_METADATA]},
    }
    loaded = config.IdPConfig()
    loaded.load(settings)
    idp = server.Server(config=loaded)
    bits, signed = draw.choice(HASHES), draw.choice(SIGNED)
    identity = {"email": ["ada@example.com"], "sub": ["5f3c0de5f3c0de5f3c0de5f3"], "memberOf": draw.sample(["admins", "staff", "Ärzte & Co"], draw.randint(1, 3))}
    for name in draw.sample(["note", "title", "motto"], draw.randint(0, 3)):
        identity[name] = draw.sample([value for value in d.VALUES if "\r" not in value], draw.randint(1, 2))
    return str(idp.create_authn_response(
        identity,
        in_response_to=d.REQUEST,
        destination=d.ACS,
        sp_entity_id=d.SP,
        name_id=NameID(format=NAMEID_FORMAT_UNSPECIFIED, text=draw.choice(["ada@example.com", "Łucja & Co"])),
        authn={"class_ref": "urn:oasis:names:tc:SAML:2.0:ac:classes:Password", "authn_auth": "https://idp.example/"},
        sign_assertion=signed in ("assertion", "both"),
        sign_response=signed in ("response", "both"),
        sign_alg=f"http://www.w3.org/2001/04/xmldsig-more#rsa-sha{bits}",
        digest_alg=digest_uri(draw.choice(HASHES)),
    ))


SP_METADATA = f"""<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" entityID="{d.SP}">
<md:SPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">
<md:AssertionConsumerService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST" Location="{d.ACS}" index="0"/>
</md:SPSSODescriptor></md:EntityDescriptor>"""


def write(folder, signer, seed, xml):
    # Every other document is spelled anew: what a signer writes is only one spelling of what it signed.
    if seed % 2:
        xml = d.respelled(xml, seed)
    Path(folder, f"{signer}-{seed:04}.xml").write_text(xml, encoding="utf-8", newline="")


def main():
    signer, first, count, folder, keys = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4], sys.argv[5]
    for seed in range(first, first + count):
        match signer:
            case "unsigned":
                Path(folder, f"{seed:04}.xml").write_text(d.unsigned(seed), encoding="utf-8", newline="")
            case "respell":
                for origin in sys.argv[5:]:
                    file = Path(folder, f"{origin}-{seed:04}.xml")
                    if file.exists():
                        write(folder, origin, seed, file.read_bytes().decode())
            case "pysaml2":
                write(folder, signer, seed, pysaml2(seed, keys))
            case _:
                write(folder, signer, seed, {"xmlsec1": xmlsec1, "signxml": signxml}[signer](d.unsigned(seed), seed, keys))


main()
