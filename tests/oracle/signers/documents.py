"""Unsigned SAML responses of many legal shapes, and rewritings that leave what was signed as it is.

Everything is drawn from one seeded source, so that each run makes the same documents.
"""

import random
import re

IDP = "jumpcloud-samlgate"
SP = "https://app.example.com/saml/metadata"
ACS = "https://app.example.com/saml/acs"
REQUEST = "_0123456789abcdef0123456789abcdef01234567"
INSTANT = "2026-11-23T10:04:31Z"
END = "2026-11-23T10:09:31Z"

SAMLP = "urn:oasis:names:tc:SAML:2.0:protocol"
SAML = "urn:oasis:names:tc:SAML:2.0:assertion"
XSI = "http://www.w3.org/2001/XMLSchema-instance"
XS = "http://www.w3.org/2001/XMLSchema"

VALUES = [
    "plain", "Łukasz Żółć", "田中 花子", "🦀 crab", "a & b", "1 < 2 > 0", "\"quoted\" and 'single'", "]] >", "100%,x",
    "e\u0301", "مرحبا", "line one\nline two", "tab\there", "double  space", "ends in &", "cn=a,ou=b;c=\\d", "\u00a0nbsp\u00a0",
    "carriage\rreturn", "x" * 1500, "&amp; once more", "<![CDATA[no]]", "'", '"',
]
NAMES = ["note", "title", "urn:oid:2.5.4.12", "http://schemas.example.com/claims/role", "Département", "a b", "a&b", "<x>", '"q"', "it's"]
PREFIXES = [("samlp", "saml"), ("saml2p", "saml2"), ("", "saml"), ("samlp", ""), ("", ""), ("p", "a"), ("ns0", "ns1"), ("_x-1.y", "S")]


def escaped(text, quote=None):
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\r", "&#13;")
    if quote:
        text = text.replace("\t", "&#9;").replace("\n", "&#10;").replace(quote, "&quot;" if quote == '"' else "&apos;")
    return text


class Writer:
    def __init__(self, seed):
        self.random = random.Random(seed)
        self.protocol, self.assertion = self.random.choice(PREFIXES)
        self.pretty = self.random.choice(["", "", "\n", "\n  ", " \t\n"])
        self.xsi_at = self.random.choice(["root", "assertion", "value", "value"])
        self.typed = self.random.random() < 0.6
        # A default namespace must be declared where it is needed; a named prefix may be declared anywhere above.
        self.saml_at_root = self.assertion != "" and self.random.random() < 0.6
        self.redundant = self.random.random() < 0.3
        self.unused = self.random.sample([("foo", "urn:foo:unused"), ("xs9", XS + "9"), ("b", "http://b.example/"), ("enc", "http://www.w3.org/2001/04/xmlenc#")], self.random.randint(0, 3))

    def name(self, prefix, local):
        return f"{prefix}:{local}" if prefix else local

    def declaration(self, prefix, uri):
        return (f"xmlns:{prefix}" if prefix else "xmlns", uri)

    def tag(self, prefix, local, attributes, content):
        attributes = list(attributes)
        self.random.shuffle(attributes)
        written = "".join(f' {name}="{escaped(value, chr(34))}"' for name, value in attributes)
        qualified = self.name(prefix, local)
        if isinstance(content, list):
            content = "".join(self.pretty + child for child in content) + (self.pretty if content else "")
        return f"<{qualified}{written}>{content}</{qualified}>" if content else f"<{qualified}{written}/>"

    def s(self, local, attributes=(), content=""):
        return self.tag(self.assertion, local, attributes, content)

    def p(self, local, attributes=(), content=""):
        return self.tag(self.protocol, local, attributes, content)

    def value(self, text):
        attributes = []
        if self.typed:
            attributes.append(("xsi:type", "xs:string"))
            if self.xsi_at == "value" or self.redundant:
                attributes += [("xmlns:xsi", XSI), ("xmlns:xs", XS)]
        elif self.random.random() < 0.1:
            attributes.append(("xml:lang", "en-IE"))
        return self.s("AttributeValue", attributes, escaped(text))

    def attribute(self, name, values):
        attributes = [("Name", name)]
        if self.random.random() < 0.5:
            attributes.append(("NameFormat", "urn:oasis:names:tc:SAML:2.0:attrname-format:basic"))
        if self.random.random() < 0.2:
            attributes.append(("FriendlyName", "friend of " + name))
        if self.random.random() < 0.15:
            attributes += [("xmlns:x500", "urn:oasis:names:tc:SAML:2.0:profiles:attribute:X500"), ("x500:Encoding", "LDAP")]
        return self.s("Attribute", attributes, [self.value(value) for value in values])

    def statements(self):
        person = [("email", ["ada@example.com"]), ("sub", ["5f3c0de5f3c0de5f3c0de5f3"]), ("memberOf", self.random.sample(["admins", "staff", "Ärzte & Co", "on-call", "a,b"], self.random.randint(0, 4)))]
        person += [("firstname", [self.random.choice(["Ada", "Łucja", "花子"])]), ("lastname", [self.random.choice(["Lovelace", "O'Neil & <Co>", "Ó Súilleabháin"])])]
        person += [(self.random.choice(NAMES), self.random.sample(VALUES, self.random.randint(0, 3))) for _ in range(self.random.randint(0, 6))]
        if self.random.random() < 0.2:
            person.append(("memberOf", ["one more"]))
        self.random.shuffle(person)
        cut = self.random.randint(1, len(person)) if self.random.random() < 0.25 else len(person)
        statements = [self.s("AttributeStatement", [], [self.attribute(*each) for each in part]) for part in (person[:cut], person[cut:]) if part]
        authn = [("AuthnInstant", INSTANT), ("SessionIndex", "s" + str(self.random.getrandbits(64)))]
        if self.random.random() < 0.3:
            authn.append(("SessionNotOnOrAfter", "2026-11-23T20:00:00Z"))
        context = self.s("AuthnContext", [], [self.s("AuthnContextClassRef", [], "urn:oasis:names:tc:SAML:2.0:ac:classes:Password")])
        inside = [self.s("SubjectLocality", [("Address", "192.0.2.7")])] if self.random.random() < 0.2 else []
        authn = self.s("AuthnStatement", authn, inside + [context])
        return [authn, *statements] if self.random.random() < 0.8 else [*statements, authn]

    def subject(self):
        name_id = [("Format", "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified")] if self.random.random() < 0.8 else []
        if self.random.random() < 0.2:
            name_id += [("NameQualifier", IDP), ("SPNameQualifier", SP)]
        data = [("NotOnOrAfter", END), ("Recipient", ACS), ("InResponseTo", REQUEST)]
        if self.random.random() < 0.2:
            data.append(("Address", "192.0.2.7"))
        confirmation = self.s("SubjectConfirmation", [("Method", "urn:oasis:names:tc:SAML:2.0:cm:bearer")], [self.s("SubjectConfirmationData", data)])
        name = self.random.choice(["ada@example.com", "ada", "Łucja & Co", "花子", "a<b>"])
        return self.s("Subject", [], [self.s("NameID", name_id, escaped(name)), confirmation])

    def conditions(self):
        audiences = self.random.choice([[SP], [SP, "https://other.example/"], ["https://other.example/?a=1&b=2", SP]])
        restriction = self.s("AudienceRestriction", [], [self.s("Audience", [], escaped(each)) for each in audiences])
        extra = [self.s("OneTimeUse")] if self.random.random() < 0.15 else []
        return self.s("Conditions", [("NotBefore", INSTANT), ("NotOnOrAfter", END)], [restriction, *extra])

    def response(self):
        typed = [("xmlns:xsi", XSI), ("xmlns:xs", XS)] if self.typed else []
        root = [self.declaration(self.protocol, SAMLP), *[(f"xmlns:{prefix}", uri) for prefix, uri in self.unused]]
        if self.saml_at_root:
            root.append(self.declaration(self.assertion, SAML))
        if self.xsi_at == "root":
            root += typed
        own = [] if self.saml_at_root and not self.redundant else [self.declaration(self.assertion, SAML)]
        root += [("ID", f"_r{self.random.getrandbits(128):032x}"), ("Version", "2.0"), ("IssueInstant", INSTANT), ("Destination", ACS), ("InResponseTo", REQUEST)]
        issuer = self.s("Issuer", [] if self.saml_at_root else [self.declaration(self.assertion, SAML)], IDP)
        status = self.p("Status", [], [self.p("StatusCode", [("Value", "urn:oasis:names:tc:SAML:2.0:status:Success")])])
        head = own + [("ID", f"_a{self.random.getrandbits(128):032x}"), ("Version", "2.0"), ("IssueInstant", INSTANT)]
        if self.xsi_at == "assertion":
            head += typed
        assertion = self.s("Assertion", head, [self.s("Issuer", [], IDP), self.subject(), self.conditions(), *self.statements()])
        return self.p("Response", root, [issuer, status, assertion])


def unsigned(seed):
    return Writer(seed).response()


# ---- Another spelling of the same document

MARKUP = re.compile(r"<[^>]*>|[^<]+")
ATTRIBUTE = re.compile(r'''\s+([\w:.-]+)\s*=\s*("[^"]*"|'[^']*')''')


def respelled(xml, seed):
    """Quotes, white space inside tags, empty-element tags, references, line ends and the XML declaration: none is signed."""
    draw = random.Random(seed)
    xml = re.sub(r"^<\?xml[^>]*\?>\s*", "", xml)
    crlf = draw.random() < 0.4
    out = []
    for piece in MARKUP.findall(xml):
        if not piece.startswith("<"):
            out.append(text(piece, draw))
        elif piece.startswith("</"):
            out.append(piece[:-1] + draw.choice(["", "", " ", "\n"]) + ">")
        else:
            out.append(tag(piece, draw))
    xml = re.sub(r"<([\w:.-]+)([^<>]*[^<>/]|)></\1\s*>", lambda m: f"<{m[1]}{m[2]}/>" if draw.random() < 0.5 else m[0], "".join(out))
    if crlf:
        xml = xml.replace("\n", "\r\n")
    return draw.choice(["", '<?xml version="1.0"?>', "<?xml version='1.0' encoding='utf-8' standalone=\"no\" ?>\r\n", "\n \n"]) + xml + draw.choice(["", "\n", "\r\n \t"])


def tag(piece, draw):
    end = "/>" if piece.endswith("/>") else ">"
    head = re.match(r"<[\w:.-]+", piece)[0]
    attributes = ATTRIBUTE.findall(piece[len(head):])
    draw.shuffle(attributes)
    gap = lambda: draw.choice([" ", " ", "  ", "\n", "\t", " \n "])
    written = "".join(gap() + name + draw.choice(["=", "=", " = ", "\n="]) + value(quoted, draw) for name, quoted in attributes)
    return head + written + draw.choice(["", "", " ", "\n"]) + end


def value(quoted, draw):
    quote, inner = quoted[0], quoted[1:-1]
    if draw.random() < 0.3:
        other = "'" if quote == '"' else '"'
        inner = inner.replace(other, "&apos;" if other == "'" else "&quot;").replace("&apos;" if quote == "'" else "&quot;", quote)
        quote = other
    return quote + referenced(inner, draw) + quote


def text(piece, draw):
    # A lone `>` may stand in text, but not after `]]`.
    piece = piece.replace("&gt;", ">") if draw.random() < 0.3 and "]]" not in piece else piece
    return referenced(piece, draw)


def referenced(inner, draw):
    """Some characters as references."""
    if draw.random() > 0.25:
        return inner
    pieces = re.split(r"(&[^;]*;)", inner)
    for at, piece in enumerate(pieces):
        if not piece.startswith("&") and piece.strip():
            index = draw.randrange(len(piece))
            if not piece[index].isspace():
                code = ord(piece[index])
                pieces[at] = piece[:index] + draw.choice([f"&#{code};", f"&#x{code:x};", f"&#x{code:04X};"]) + piece[index + 1:]
    return "".join(pieces)
