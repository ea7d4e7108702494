"""pysaml2's identity provider behind a small web server, as ISSUER_FILE says."""

import functools
import html
import json
import os
import secrets
import shutil
from http.cookies import SimpleCookie
from pathlib import Path
from urllib.parse import parse_qs, urlencode
from xml.etree import ElementTree
from wsgiref.simple_server import WSGIRequestHandler, make_server

import saml2.entity
from saml2 import BINDING_HTTP_POST, BINDING_HTTP_REDIRECT
from saml2.authn_context import PASSWORDPROTECTEDTRANSPORT
from saml2.config import IdPConfig
from saml2.saml import NAME_FORMAT_BASIC, NAMEID_FORMAT_PERSISTENT, NameID
from saml2.server import Server
from saml2.sigver import pre_encryption_part
from saml2.xmldsig import DIGEST_SHA256, SIG_RSA_SHA256

HERE = Path(__file__).parent
ISSUER = json.loads(Path(os.environ["ISSUER_FILE"]).read_text())
PEOPLE = {person["username"]: person for person in ISSUER["people"]}
PROVIDERS = {sp["entity_id"]: sp for sp in ISSUER["service_providers"]}
AES_256_GCM = "http://www.w3.org/2009/xmlenc11#aes256-gcm"
PREFIXES = {
    "samlp": "urn:oasis:names:tc:SAML:2.0:protocol",
    "saml": "urn:oasis:names:tc:SAML:2.0:assertion",
    "ds": "http://www.w3.org/2000/09/xmldsig#",
    "xenc": "http://www.w3.org/2001/04/xmlenc#",
}
NO_PREFIXES = dict(ElementTree._namespace_map)
COOKIE = "pysaml2-issuer"
SESSIONS = {}


def configuration(signed_requests):
    sso = f"{ISSUER['origin']}/sso"
    return IdPConfig().load({
        "entityid": ISSUER["entity_id"],
        "xmlsec_binary": shutil.which("xmlsec1"),
        "attribute_map_dir": str(HERE / "attribute_maps"),
        "key_file": ISSUER["key_file"],
        "cert_file": ISSUER["certificate_file"],
        "metadata": {"inline": [sp["metadata"] for sp in PROVIDERS.values()]},
        "service": {
            "idp": {
                "want_authn_requests_signed": signed_requests,
                # Its defaults are SHA-1.
                "signing_algorithm": SIG_RSA_SHA256,
                "digest_algorithm": DIGEST_SHA256,
                "endpoints": {"single_sign_on_service": [(sso, BINDING_HTTP_REDIRECT), (sso, BINDING_HTTP_POST)]},
                "policy": {
                    "default": {
                        "lifetime": {"minutes": 5},
                        "attribute_restrictions": None,
                        "name_form": NAME_FORMAT_BASIC,
                    },
                },
            },
        },
    })


SERVER = Server(config=configuration(signed_requests=False))
STRICT = Server(config=configuration(signed_requests=True))
encrypt_as_shipped = SERVER.sec.encrypt_assertion


def choose_cipher(encryption):
    """pysaml2 has no setting for the cipher and always takes triple DES; its functions can do AES-GCM.

    What it encrypts it writes apart from the response, each with prefixes from ns0 on, so that the same prefix stands
    for another namespace further in. Prefixes that are registered keep their meaning.
    """
    ElementTree._namespace_map = dict(NO_PREFIXES)
    if encryption == "gcm":
        for prefix, namespace in PREFIXES.items():
            ElementTree.register_namespace(prefix, namespace)
        saml2.entity.pre_encryption_part = functools.partial(pre_encryption_part, msg_enc=AES_256_GCM)
        SERVER.sec.encrypt_assertion = functools.partial(encrypt_as_shipped, key_type="aes-256")
    else:
        saml2.entity.pre_encryption_part = pre_encryption_part
        SERVER.sec.encrypt_assertion = encrypt_as_shipped


def response_to(request, person):
    sp = PROVIDERS[request.message.issuer.text]
    choose_cipher(sp["encryption"])
    identity = {
        "email": person["email"],
        "sub": person["id"],
        "firstname": person["first_name"],
        "lastname": person["last_name"],
        "memberOf": person["groups"],
    }
    response = SERVER.create_authn_response(
        identity,
        in_response_to=request.message.id,
        destination=sp["acs_url"],
        sp_entity_id=sp["entity_id"],
        name_id=NameID(format=NAMEID_FORMAT_PERSISTENT, text=person["id"]),
        authn={"class_ref": PASSWORDPROTECTEDTRANSPORT, "authn_auth": ISSUER["entity_id"]},
        sign_response=sp["signs"] != "assertion",
        sign_assertion=sp["signs"] != "response",
        encrypt_assertion=sp["encryption"] is not None,
        encrypt_assertion_self_contained=True,
    )
    return sp, str(response)


def application(environ, start_response):
    path, query = environ["PATH_INFO"], environ["QUERY_STRING"]
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)).decode()
    form = {name: values[0] for name, values in parse_qs(query + "&" + body, keep_blank_values=True).items()}

    def answer(status, text, *headers):
        start_response(status, [("Content-Type", "text/html; charset=utf-8"), *headers])
        return [text.encode()]

    if path == "/ready":
        return answer("200 OK", "ready")
    if path == "/login":
        person = PEOPLE.get(form.pop("username"))
        if not person or form.pop("password") != person["username"]:
            return answer("401 Unauthorized", login_page(form))
        session = secrets.token_hex(16)
        SESSIONS[session] = person
        cookie = f"{COOKIE}={session}; Path=/; HttpOnly; Secure; SameSite=None"
        return answer("303 See Other", "", ("Set-Cookie", cookie), ("Location", f"/sso?{urlencode(form)}"))
    if path != "/sso":
        return answer("404 Not Found", "")
    cookie = SimpleCookie(environ.get("HTTP_COOKIE", "")).get(COOKIE)
    person = cookie and SESSIONS.get(cookie.value)
    if not person:
        return answer("200 OK", login_page(form))
    request = SERVER.parse_authn_request(form["SAMLRequest"], BINDING_HTTP_REDIRECT)
    if PROVIDERS[request.message.issuer.text]["signed_requests"]:
        signature = [form.get(name) for name in ("RelayState", "SigAlg", "Signature")]
        request = STRICT.parse_authn_request(form["SAMLRequest"], BINDING_HTTP_REDIRECT, *signature)
    sp, response = response_to(request, person)
    page = SERVER.apply_binding(BINDING_HTTP_POST, response, sp["acs_url"], form.get("RelayState", ""), response=True)
    return answer("200 OK", page["data"])


def login_page(form):
    hidden = "".join(
        f'<input type="hidden" name="{html.escape(name)}" value="{html.escape(value)}">' for name, value in form.items()
    )
    return (
        f'<!doctype html><title>pysaml2</title><form method="post" action="/login">{hidden}<input name="username">'
        '<input name="password" type="password"><button>Sign in</button></form>'
    )


class Quiet(WSGIRequestHandler):
    def log_message(self, *_):
        pass


make_server("127.0.0.1", ISSUER["port"], application, handler_class=Quiet).serve_forever()
