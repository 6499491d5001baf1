# SPDX-License-Identifier: Apache-2.0
"""ja4: what an observer knows a TLS client by: JA4 of its ClientHello, and the fields it is made of.

JA4 is FoxIO's, as its technical details of 2023 define it: sorted, so that the order that a browser
draws anew for each connection does not count, and without GREASE (RFC 8701).
"""
import copy
import hashlib
import struct

import hello

SERVER_NAME, GROUPS, POINT_FORMATS, SIGNATURES, ALPN, VERSIONS, ECH = (
    0, 10, 11, 13, 16, 43, 0xfe0d)
KEY_SHARE, COMPRESSION, STATUS, TICKET, PSK_MODES, TRUST_ANCHORS = 51, 27, 5, 35, 45, 0xca34
TIMESTAMP, PADDING, MASTER_SECRET, RENEGOTIATION = 18, 21, 23, 0xff01


def is_grease(value):
    return value & 0x0f0f == 0x0a0a and value >> 8 == value & 0xff


def _pairs(data):
    """u16 numbers, GREASE as the word for any of it."""
    return ["grease" if is_grease(n) else n for (n,) in struct.iter_unpack("!H", data)]


def _known(numbers):
    return [n for n in numbers if n != "grease"]


def _shares(body):
    """The groups of a key_share extension, with each share's size."""
    at, found = 2, []
    while at < len(body):
        group, size = struct.unpack_from("!HH", body, at)
        found.append(("grease" if is_grease(group) else group, size))
        at += 4 + size
    assert at == len(body)
    return found


class Hello:
    """A ClientHello message, without record headers."""

    def __init__(self, message):
        assert message[0] == 1 and int.from_bytes(message[1:4], "big") == len(message) - 4
        self.length = len(message)
        self.version = struct.unpack_from("!H", message, 4)[0]
        self.session_id = message[38]
        at = 39 + self.session_id
        size = struct.unpack_from("!H", message, at)[0]
        self.ciphers = _pairs(message[at + 2:at + 2 + size])
        at += 2 + size
        self.compressions = message[at + 1:at + 1 + message[at]]
        self.bodies, self.order = {}, []
        for kind, body in hello.extensions(message)[1]:
            kind = "grease" if is_grease(kind) else kind
            self.order.append(kind)
            self.bodies.setdefault(kind, body)
        self.extensions = sorted(_known(self.order))
        self.groups = _pairs(self.bodies[GROUPS][2:])
        self.signatures = _pairs(self.bodies[SIGNATURES][2:])
        self.versions = _pairs(self.bodies[VERSIONS][1:])
        self.shares = _shares(self.bodies[KEY_SHARE])
        alpn, self.alpn = self.bodies.get(ALPN, b"")[2:], []
        while alpn:
            self.alpn.append(alpn[1:1 + alpn[0]].decode())
            alpn = alpn[1 + alpn[0]:]

    def ja4(self):
        """JA4 of a client over TCP."""
        version = {0x0304: "13", 0x0303: "12"}[max(_known(self.versions))]
        ciphers = sorted(f"{n:04x}" for n in _known(self.ciphers))
        kinds = [f"{n:04x}" for n in self.extensions if n not in (SERVER_NAME, ALPN)]
        first = self.alpn[0] if self.alpn else "00"
        signatures = ",".join(f"{n:04x}" for n in _known(self.signatures))
        return "_".join([
            f"t{version}{'d' if SERVER_NAME in self.bodies else 'i'}"
            f"{min(len(ciphers), 99):02}{min(len(self.extensions), 99):02}{first[0]}{first[-1]}",
            hashlib.sha256(",".join(ciphers).encode()).hexdigest()[:12],
            hashlib.sha256((",".join(kinds) + "_" + signatures).encode()).hexdigest()[:12]])

    def without(self, groups=(), signatures=(), extensions=()):
        """As a client would say it that lacks these; its length is not known."""
        less = copy.copy(self)
        less.groups = [n for n in self.groups if n not in groups]
        less.shares = [x for x in self.shares if x[0] not in groups]
        less.signatures = [n for n in self.signatures if n not in signatures]
        less.extensions = [n for n in self.extensions if n not in extensions]
        less.order = [n for n in self.order if n not in extensions]
        less.bodies = {n: x for n, x in self.bodies.items() if n not in extensions}
        less.length = None
        return less

    def fields(self):
        """All that is the same in each of the client's hellos, by name: more than JA4 counts. The
        payload of an ECH GREASE has one of several sizes."""
        same = (STATUS, POINT_FORMATS, PSK_MODES, COMPRESSION, TICKET, TIMESTAMP, MASTER_SECRET,
                RENEGOTIATION, TRUST_ANCHORS)
        ech = self.bodies.get(ECH, b"")
        return {
            "version": self.version, "session id": self.session_id, "ciphers": self.ciphers,
            "compressions": self.compressions, "extensions": self.extensions,
            "GREASE extensions": (self.order.count("grease"), self.order[0], self.order[-1]),
            "groups": self.groups, "key shares": self.shares, "signatures": self.signatures,
            "versions": self.versions, "ALPN": self.alpn,
            **{f"extension {n}": self.bodies.get(n) for n in same}, "ECH": ech[:5],
            "length": None if self.length is None else self.length - len(ech),
        }
