#!/usr/bin/env python3
"""Mints what a message needs to be tracked by Carom. MINTING.md explains each step.

    mint.py message.json           print the links of a message, as `carom link` does
    mint.py --self sender.json     print the link by which a sender marks a browser as its own, as `carom link self` does
    mint.py --check vectors.json   mint the test vectors and compare

Needs Python 3.9 and PyNaCl (pip install pynacl), for XChaCha20-Poly1305. The key comes from the environment:
CAROM_KEY_ID and CAROM_KEY_SECRET, the id and the secret of the key with `state: seal` in the keys file.
"""

import base64
import hashlib
import hmac
import json
import os
import sys
from urllib.parse import urlsplit

from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_encrypt as xchacha20poly1305

VERSION = 1
MAX_IDS = 512
MAX_URL = 8192
HONEYPOT = 16


def hkdf(secret, info):
    """HKDF-SHA256 (RFC 5869) without a salt, 32 bytes: one block of output."""
    extracted = hmac.new(bytes(32), secret, hashlib.sha256).digest()
    return hmac.new(extracted, info + b"\x01", hashlib.sha256).digest()


class Key:
    """One entry of the keys file."""

    def __init__(self, key_id, secret):
        if not 1 <= key_id <= 255:
            raise ValueError("key id: want 1 to 255")
        raw = base64.b64decode(secret, validate=True)
        if len(raw) != 32:
            raise ValueError("secret: want 32 bytes in base64")
        self.id = key_id
        self.url = hkdf(raw, b"carom url v1")
        self.address = hkdf(raw, b"carom address v1")


# Message ids and message keys


def clean(message):
    return message.strip(" \t\r\n<>")


def message_key(account, message):
    account = (account or "default").encode()
    message = clean(message).encode()
    return hashlib.sha256(message).digest()[:4] + hashlib.sha256(account + b"\x00" + message).digest()[:12]


# The protobuf wire form of ref.proto, by hand


def varint(n):
    out = bytearray()
    while n >= 0x80:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


def number(field, n):
    return varint(field << 3 | 0) + varint(n) if n else b""


def text(field, s):
    b = s.encode()
    return varint(field << 3 | 2) + varint(len(b)) + b if b else b""


def plaintext(purpose, ref):
    if purpose == "s":
        ref = {f: ref[f] for f in ("account", "sender") if f in ref}
    account = ref.get("account", "")
    click = purpose == "c"
    flags = ref.get("flags", 0)
    check(ref, purpose)
    return b"".join((
        text(1, "" if account == "default" else account),
        text(2, ref["sender"]),
        text(3, ref.get("sequence", "")),
        text(4, ref.get("contact", "")),
        text(5, clean(ref.get("message", ""))),
        number(6, ref.get("link", 0) if click else 0),
        text(7, ref.get("url", "") if click else ""),
        number(8, ref.get("sent_at", 0)),
        number(9, flags if click else flags & ~HONEYPOT),
    ))


def check(ref, purpose):
    """Refuses what Carom would refuse when the token comes back: better now than then."""
    click = purpose == "c"
    ids = [ref.get(f, "") for f in ("account", "sender", "sequence", "contact")] + [clean(ref.get("message", ""))]
    if not ids[1] or not ids[4] and purpose != "s":
        raise ValueError("sender and message are required")
    if any(c < " " or c == "\x7f" for s in ids for c in s):
        raise ValueError("control character in an id")
    if len((ids[0] or "default").encode()) + sum(len(s.encode()) for s in ids[1:]) > MAX_IDS:
        raise ValueError(f"the ids have more than {MAX_IDS} bytes together")
    url = ref.get("url", "")
    if click and not url.lower().startswith(("http://", "https://")):
        raise ValueError("url: want http:// or https://")
    if click and (len(url.encode()) > MAX_URL or any(c <= " " or c == "\x7f" for c in url)):
        raise ValueError("url: too long, or with blanks or control characters")
    if click and not urlsplit(url).hostname:
        raise ValueError("url: the host is missing")


# Tokens


def url_token(key, purpose, ref, nonce=None):
    nonce = nonce or os.urandom(24)
    head = bytes((VERSION, key.id))
    sealed = xchacha20poly1305(plaintext(purpose, ref), head + purpose.encode(), nonce, key.url)
    return base64.urlsafe_b64encode(head + nonce + sealed).decode().rstrip("=")


def address_token(key, purpose, account, message):
    body = bytes((VERSION, key.id)) + message_key(account, message)
    mac = hmac.new(key.address, purpose.encode() + body, hashlib.sha256).digest()[:10]
    return base64.b32encode(body + mac).decode().rstrip("=").lower()


def mint(key, message):
    """All that goes into one message. message has the fields of Ref, links, and where they shall lead."""
    ref = {f: message[f] for f in ("account", "sender", "sequence", "contact", "message", "sent_at", "flags") if f in message}
    base = message["track_base_url"].rstrip("/")
    bounce, reply = message["bounce_domain"], message["reply_domain"]

    def click(i, url, flags=0):
        link = dict(ref, link=i, url=url, flags=ref.get("flags", 0) | flags)
        return f"{base}/c/{url_token(key, 'c', link)}"

    def address(purpose, domain):
        return f"{purpose}-{address_token(key, purpose, ref.get('account'), ref['message'])}@{domain}"

    links = message.get("links", [])
    unsubscribe = f"{base}/u/{url_token(key, 'u', ref)}"
    return {
        "message": clean(ref["message"]),
        "open_url": f"{base}/o/{url_token(key, 'o', ref)}.gif",
        "click_urls": [click(i, url) for i, url in enumerate(links)],
        "honeypot_url": click(len(links), base + "/", HONEYPOT),
        "unsubscribe_url": unsubscribe,
        "return_path": address("b", bounce),
        "reply_to": address("r", reply),
        "headers": {
            "X-Carom-Ref": url_token(key, "h", ref),
            "List-Unsubscribe": f"<{unsubscribe}>, <mailto:{address('u', bounce)}>",
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        },
    }


def mint_self(key, sender):
    """The link by which a sender marks a browser as its own."""
    return {"self_url": f"{sender['track_base_url'].rstrip('/')}/self/{url_token(key, 's', sender)}"}


# The test vectors


def check_vectors(vectors):
    """Yields the name of every vector that this program makes otherwise."""
    keys = {k["id"]: Key(k["id"], k["secret"]) for k in vectors["keys"]}
    for k in vectors["keys"]:
        if (keys[k["id"]].url.hex(), keys[k["id"]].address.hex()) != (k["url_key"], k["address_key"]):
            yield f"key {k['id']}"
    for m in vectors["message_keys"]:
        if message_key(m["account"], m["message"]).hex() != m["key"]:
            yield f"message key of {m['message']!r}"
    for u in vectors["url_tokens"]:
        if plaintext(u["purpose"], u["ref"]).hex() != u["plaintext"]:
            yield f"plaintext of {u['name']}"
        if url_token(keys[u["key_id"]], u["purpose"], u["ref"], bytes.fromhex(u["nonce"])) != u["token"]:
            yield f"URL token {u['name']}"
    for a in vectors["address_tokens"]:
        if address_token(keys[a["key_id"]], a["purpose"], a["account"], a["message"]) != a["token"]:
            yield f"address token {a['purpose']} of {a['message']!r}"


def main(args):
    if len(args) == 2 and args[0] == "--check":
        with open(args[1], encoding="utf-8") as f:
            wrong = list(check_vectors(json.load(f)))
        print("\n".join(wrong) or "all vectors agree")
        return 1 if wrong else 0
    make = mint
    if len(args) == 2 and args[0] == "--self":
        make, args = mint_self, args[1:]
    if len(args) != 1 or args[0].startswith("-"):
        print(__doc__, file=sys.stderr)
        return 2
    key = Key(int(os.environ["CAROM_KEY_ID"]), os.environ["CAROM_KEY_SECRET"])
    with open(args[0], encoding="utf-8") as f:
        message = json.load(f)
    json.dump(make(key, message), sys.stdout, indent=2)
    print()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
