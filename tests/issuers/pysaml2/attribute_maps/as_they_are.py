"""Attributes keep the names that samlgate's claims have by default."""

NAMES = ("email", "sub", "firstname", "lastname", "memberOf")

MAP = {
    "identifier": "urn:oasis:names:tc:SAML:2.0:attrname-format:basic",
    "fro": {name: name for name in NAMES},
    "to": {name: name for name in NAMES},
}
