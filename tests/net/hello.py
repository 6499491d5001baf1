# SPDX-License-Identifier: Apache-2.0
"""hello: real ClientHellos, cut into segments and TLS records in every way a network may."""
import ssl
import struct
import time

HANDSHAKE = 22


class Client:
    """A TLS client whose first flight we deliver as we like, and that then goes on as usual."""

    def __init__(self, context, server_name):
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname=server_name)
        try:
            self.tls.do_handshake()
        except ssl.SSLWantReadError:
            pass
        self.flight = self.outgoing.read()

    def message(self):
        """The handshake message inside the first flight, without record headers."""
        out, rest = b"", self.flight
        while rest:
            kind, _version, length = struct.unpack_from("!BHH", rest)
            assert kind == HANDSHAKE
            out, rest = out + rest[5:5 + length], rest[5 + length:]
        return out

    def _step(self, sock, call, *arguments):
        """Runs one operation of the TLS object, moving bytes until it is done."""
        while True:
            try:
                done = call(*arguments)
            except ssl.SSLWantReadError:
                done = None
            waiting = self.outgoing.read()
            if waiting:
                sock.sendall(waiting)
            if done is not None:
                return done
            got = sock.recv(65536)
            if not got:
                raise AssertionError("connection closed during the TLS handshake or reply")
            self.incoming.write(got)

    def finish(self, sock):
        """Completes the handshake; the server's certificate, verified."""
        self._step(sock, lambda: self.tls.do_handshake() or True)
        return self.tls.getpeercert()

    def get(self, sock, host, path="/"):
        """One HTTP request; the reply's head and what came with it."""
        request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
        self._step(sock, self.tls.write, request.encode())
        reply = b""
        while b"\r\n\r\n" not in reply:
            reply += self._step(sock, self.tls.read, 65536)
        return reply


def records(message, cuts):
    """The message in len(cuts)+1 TLS records, cut at the given offsets."""
    edges = [0, *cuts, len(message)]
    out = b""
    for a, b in zip(edges, edges[1:]):
        out += struct.pack("!BHH", HANDSHAKE, 0x0301, b - a) + message[a:b]
    return out


def send_pieces(sock, pieces, pause=0.002):
    """Each piece as a TCP segment of its own."""
    for n, piece in enumerate(pieces):
        if n:
            time.sleep(pause)
        sock.sendall(piece)


def large_context(context, size):
    """Makes the context's hello about size bytes long, by asking for many protocols."""
    fill = [f"example-protocol-number-{n:06d}" for n in range(max(0, (size - 500) // 31))]
    context.set_alpn_protocols(["http/1.1", *fill])
    return context


def extensions(message):
    """[(type, body)] of a ClientHello message, and the bytes before their length field."""
    at = 4 + 2 + 32
    at += 1 + message[at]
    at += 2 + struct.unpack_from("!H", message, at)[0]
    at += 1 + message[at]
    head, at, found = message[:at], at + 2, []
    while at < len(message):
        kind, length = struct.unpack_from("!HH", message, at)
        found.append((kind, message[at + 4:at + 4 + length]))
        at += 4 + length
    return head, found


def rebuild(head, found):
    """A ClientHello message with these extensions, its lengths right."""
    body = b"".join(struct.pack("!HH", kind, len(x)) + x for kind, x in found)
    message = head + struct.pack("!H", len(body)) + body
    return message[:1] + (len(message) - 4).to_bytes(3, "big") + message[4:]
