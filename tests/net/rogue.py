# SPDX-License-Identifier: Apache-2.0
"""rogue: a relay that was taken over, and a client that speaks the protocol by hand.

Theory of operation.  The relay has its operator's certificate and key, so agents sign in to it as
ever.  It looks at no proof, offers what it likes in any agent's name, and lets everything through:
what an agent refuses then, it refuses by itself.  docs/protocol.md is all that it knows.

    sign in   HELLO -> WELCOME, PUBLISH -> PUBLISHED; LEG -> READY
    offer     OFFER on the link; ACCEPT on a leg -> GO, and the leg's socket is the client's
    inside    the client's TLS in the envelope, REQUEST -> RESULT
"""
import hmac
import os
import queue
import re
import ssl
import struct
import tempfile
import threading

from tag import TAG_BYTES
from world import get_block

HELLO, WELCOME, PUBLISH, PUBLISHED, OFFER, REFUSE, PING, PONG = range(1, 9)
LEG, READY, _OPEN, ACCEPT, GO = range(0x10, 0x15)
REQUEST, RESULT = 0x20, 0x21
BYE = 0x0a
EXTENDED = {HELLO, WELCOME, OFFER, PING, PONG, _OPEN, GO, REQUEST, RESULT}  # end in extensions
APPLICATION_DATA = 23
OK, PROTOCOL, NOT_ALLOWED, EXTENSION = 0, 1, 11, 26


def text8(text):
    return struct.pack("!B", len(text)) + text.encode()


def frame(kind, body, extensions=()):
    """A message; extensions are (id, value)."""
    if kind in EXTENDED:
        body += struct.pack("!B", len(extensions))
        for number, value in extensions:
            body += struct.pack("!HH", number, len(value)) + value
    return struct.pack("!BBH", 2, kind, len(body)) + body


def pem(bundle, key):
    """A part of a file's identity."""
    lines = re.search(rf"^  {key}: \|\n((?:    .*\n)+)", get_block(bundle, "identity"),
                      re.MULTILINE).group(1)
    return re.sub(r"^    ", "", lines, flags=re.MULTILINE)


def load_identity(context, bundle):
    with tempfile.NamedTemporaryFile("w", suffix=".pem", dir=os.path.dirname(bundle)) as f:
        f.write(pem(bundle, "certificate") + pem(bundle, "key"))
        f.flush()
        context.load_cert_chain(f.name)


class Tls:
    """TLS whose records can be taken on their way, and frames in it."""

    def __init__(self, sock, context, server):
        self.sock, self.buffer = sock, b""
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_side=server)
        self.step(lambda: self.tls.do_handshake() or True)

    def seal(self, records):
        return records

    def open(self, wire):
        return wire

    def step(self, call, *arguments):
        while True:
            try:
                done = call(*arguments)
            except ssl.SSLWantReadError:
                done = None
            if waiting := self.outgoing.read():
                self.sock.sendall(self.seal(waiting))
            if done is not None:
                return done
            got = self.sock.recv(1 << 16)
            if not got:
                raise ConnectionResetError("the connection ended")
            self.incoming.write(self.open(got))

    def write(self, data):
        self.step(self.tls.write, data)

    def read_until(self, enough):
        """Reads until enough(buffer) gives a length, and takes so many bytes."""
        while not (length := enough(self.buffer)):
            self.buffer += self.step(self.tls.read, 1 << 16)
        taken, self.buffer = self.buffer[:length], self.buffer[length:]
        return taken

    def line(self):
        return self.read_until(lambda b: b.find(b"\n") + 1)

    def say(self, kind, body, extensions=()):
        self.write(frame(kind, body, extensions))

    def hear(self):
        """The next message's type and body."""
        def whole(b):
            length = 4 + struct.unpack_from("!H", b, 2)[0] if len(b) >= 4 else 0
            return length if length and len(b) >= length else 0
        got = self.read_until(whole)
        return got[1], got[4:]


def hkdf(secret, info):
    """32 bytes of HKDF-SHA256 without a salt (RFC 5869)."""
    key = hmac.digest(bytes(32), secret, "sha256")
    return hmac.digest(key, info + b"\x01", "sha256")


class ChaCha:
    """ChaCha20 (RFC 8439) with a nonce of zeros, as one stream."""

    def __init__(self, key):
        self.key, self.counter, self.left = struct.unpack("<8I", key), 0, b""

    def block(self):
        start = [*struct.unpack("<4I", b"expand 32-byte k"), *self.key, self.counter, 0, 0, 0]
        s = start[:]
        for _ in range(10):
            for i in range(8):
                a, b, c, d = (i % 4 + 4 * row if i < 4 else (i + row) % 4 + 4 * row
                              for row in range(4))
                for x, y, z, turn in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
                    s[x] = (s[x] + s[y]) & 0xffffffff
                    s[z] ^= s[x]
                    s[z] = (s[z] << turn | s[z] >> 32 - turn) & 0xffffffff
        self.counter += 1
        return struct.pack("<16I", *((x + y) & 0xffffffff for x, y in zip(s, start)))

    def __call__(self, data):
        while len(self.left) < len(data):
            self.left += self.block()
        stream, self.left = self.left[:len(data)], self.left[len(data):]
        return bytes(x ^ y for x, y in zip(data, stream))


class Enveloped(Tls):
    """TLS inside the envelope: see core/engine/envelope.h."""

    PADDING = 700  # of each record; any number is right

    def __init__(self, sock, context, secret):
        self.sealing = self.opening = True
        self.wire = self.inner = b""
        self.ours, self.theirs = (ChaCha(hkdf(secret, f"postern/2 {side}".encode()))
                                  for side in ("asking", "publishing"))
        super().__init__(sock, context, False)

    def seal(self, records):
        if not self.sealing:
            return records
        end = self.after_data(records)
        self.sealing = end is None
        head = records[:end]
        body = struct.pack("!H", len(head)) + head + bytes(self.PADDING)
        return struct.pack("!BHH", APPLICATION_DATA, 0x0303, len(body)) + self.ours(body) \
            + records[len(head):]

    @staticmethod
    def after_data(records):
        """Where the first record of application data ends; None: there is none."""
        at = 0
        while at + 5 <= len(records):
            kind, _version, length = struct.unpack_from("!BHH", records, at)
            at += 5 + length
            if kind == APPLICATION_DATA and at <= len(records):
                return at
        return None

    def open(self, wire):
        if not self.opening:
            return wire
        self.wire += wire
        opened = b""
        while self.opening and len(self.wire) >= 5:
            kind, _version, length = struct.unpack_from("!BHH", self.wire)
            assert kind == APPLICATION_DATA, f"a record of type {kind} in the envelope"
            if len(self.wire) < 5 + length:
                break
            body = self.theirs(self.wire[5:5 + length])
            inner = struct.unpack_from("!H", body)[0]
            assert 0 < inner <= length - 2 and not any(body[2 + inner:]), "no record of the envelope"
            opened += body[2:2 + inner]
            self.wire = self.wire[5 + length:]
            self.opening = self.after_data(self.inner + opened) is None
        self.inner += opened
        if not self.opening:
            opened, self.wire = opened + self.wire, b""
        return opened


class RogueRelay:
    """Runs on a host at port 443 with a relay's file."""

    def __init__(self, host, bundle):
        self.extensions = {}  # what a kind of message carries from now on
        self.byes = queue.Queue()
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_3
        self.context.num_tickets = 0
        self.context.set_alpn_protocols(["http/1.1"])
        load_identity(self.context, bundle)
        self.links, self.accepted, self.refused = queue.Queue(), queue.Queue(), queue.Queue()
        self.over = threading.Event()
        self.sessions = 0
        self.link = None
        host.lab.callbacks.append(self.over.set)
        host.serve(443, self.connection)

    def connection(self, sock, _peer):
        tls = Tls(sock, self.context, True)
        tls.read_until(lambda b: TAG_BYTES if len(b) >= TAG_BYTES else 0)
        kind, _body = tls.hear()
        if kind == HELLO:
            tls.say(WELCOME, text8("relay") + text8("") + struct.pack("!Q", 1) + bytes(32) +
                    struct.pack("!HHI", 25, 64, 10000), self.extensions.get(WELCOME, ()))
            self.serve_link(tls)
        elif kind == LEG:
            tls.say(READY, b"")
            self.serve_leg(sock, tls)

    def serve_link(self, tls):
        while not self.over.is_set():
            kind, body = tls.hear()
            if kind == PUBLISH:
                tls.say(PUBLISHED, body[:2])
                self.links.put(tls)
            elif kind == PING:
                tls.say(PONG, body[:8], self.extensions.get(PONG, ()))
            elif kind == REFUSE:
                self.refused.put((*struct.unpack_from("!QH", body), body[12:].decode()))
            elif kind == BYE:
                self.byes.put((struct.unpack_from("!H", body)[0], body[4:].decode()))
                return

    def serve_leg(self, sock, tls):
        kind, body = tls.hear()
        if kind == ACCEPT:
            secret = os.urandom(32)
            tls.say(GO, body + secret, self.extensions.get(GO, ()))
            self.accepted.put((sock, secret))
            self.over.wait(60)

    def send_offer(self, sender, service, kind):
        self.link = self.link or self.links.get(timeout=20)
        self.sessions += 1
        self.link.say(OFFER, struct.pack("!QB", self.sessions, kind) + text8(sender) +
                      text8(service) + text8("198.51.100.7:1") + text8("45.0.0.2:443"), self.extensions.get(OFFER, ()))

    def offer(self, sender, service, kind=0):
        """Offers the agent a session in an agent's name; its socket and the envelope's secret, or the
        reason it refused."""
        self.send_offer(sender, service, kind)
        if kind:
            return self.refused.get(timeout=20)[1]
        return self.accepted.get(timeout=20)

    def refuse(self, sender, service, kind):
        """(session, reason, text) of the agent's REFUSE."""
        self.send_offer(sender, service, kind)
        return self.refused.get(timeout=20)

    def gives_up(self, sender, service):
        """Whether the agent closes the leg behind GO without a word."""
        sock, _secret = self.offer(sender, service)
        sock.settimeout(10)
        try:
            return sock.recv(1) == b""
        except ConnectionResetError:
            return True

    def ask(self, bundle, service, sender, requested=None):
        """As the owner of a file, but in sender's name; (reason, text, the session)."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_alpn_protocols(["postern/2"])
        load_identity(context, bundle)
        sock, secret = self.offer(sender, service)
        inside = Enveloped(sock, context, secret)
        inside.say(REQUEST, text8(requested or service) + text8("198.51.100.7:1")
                   + b"\0", self.extensions.get(REQUEST, ()))  # no candidates
        kind, body = inside.hear()
        assert kind == RESULT, f"message {kind} in place of RESULT"
        reason, length = struct.unpack_from("!HH", body)
        return reason, body[4:4 + length].decode(), inside
