# SPDX-License-Identifier: Apache-2.0
"""stun_wire: STUN messages (RFC 8489), as a client of a few lines needs them."""
import ipaddress
import os
import socket
import struct
import zlib

COOKIE = 0x2112A442
MAPPED, ERROR_CODE, XOR_MAPPED, FINGERPRINT = 0x0001, 0x0009, 0x0020, 0x8028
CHANGE_REQUEST, ALTERNATE_SERVER, RESPONSE_ORIGIN, OTHER_ADDRESS = 0x0003, 0x8023, 0x802B, 0x802C
USERNAME, INTEGRITY_SHA256 = 0x0006, 0x001C
SUCCESS, ERROR = 0x0101, 0x0111


def message(kind=0x0001, attributes=b"", cookie=COOKIE, number=None, fingerprint=False):
    number = os.urandom(12) if number is None else number
    length = len(attributes) + (8 if fingerprint else 0)
    out = struct.pack("!HHI", kind, length, cookie) + number + attributes
    if fingerprint:
        out += struct.pack("!HHI", FINGERPRINT, 4, (zlib.crc32(out) & 0xFFFFFFFF) ^ 0x5354554E)
    return out


def attribute(kind, value=b""):
    return struct.pack("!HH", kind, len(value)) + value + b"\0" * (-len(value) % 4)


def address(value, xored_with=None):
    """("1.2.3.4", port) of an address attribute's value; xored_with: the header from the cookie."""
    port, raw = struct.unpack("!xxH", value[:4])[0], value[4:]
    if xored_with:
        port ^= COOKIE >> 16
        raw = bytes(a ^ b for a, b in zip(raw, xored_with))
    return str(ipaddress.ip_address(raw)), port


class Reply:
    """A decoded reply; it must be one whole message."""

    def __init__(self, data, request):
        self.data = data
        self.kind, length, cookie = struct.unpack("!HHI", data[:8])
        assert len(data) == 20 + length and cookie == COOKIE, data.hex()
        assert data[4:20] == request[4:20], "another transaction's"
        self.attributes, at = {}, 20
        while at < len(data):
            kind, size = struct.unpack("!HH", data[at:at + 4])
            self.attributes[kind] = data[at + 4:at + 4 + size]
            at += 4 + size + (-size % 4)
        assert at == len(data), data.hex()

    @property
    def mapped(self):
        assert self.kind == SUCCESS, hex(self.kind)
        return address(self.attributes[XOR_MAPPED], self.data[4:20])

    @property
    def code(self):
        assert self.kind == ERROR, hex(self.kind)
        return self.attributes[ERROR_CODE][2] * 100 + self.attributes[ERROR_CODE][3]


class Client:
    """A UDP socket on a host that hears one server only."""

    def __init__(self, host, server, port=3478, source=None):
        family = socket.AF_INET6 if ":" in server else socket.AF_INET
        with host.inside():
            self.sock = socket.socket(family, socket.SOCK_DGRAM)
        if source:
            self.sock.bind((source, 0))
        self.sock.connect((server, port))
        self.sock.settimeout(5)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def own(self):
        return self.sock.getsockname()[:2]

    def ask(self, request=None):
        request = request or message()
        self.sock.send(request)
        return Reply(self.sock.recv(2000), request)

    def told(self):
        """What it is told must be true."""
        mapped = self.ask().mapped
        assert mapped == self.own(), (mapped, self.own())
        return mapped

    def hears_nothing(self, data):
        """Neither this nor anything before it is answered: only the plain request behind it is."""
        self.sock.send(data)
        assert self.ask().mapped == self.own()


def read_stream(sock, request):
    """The next message of a TCP connection, as the reply to request."""
    data = b""
    while len(data) < 20 or len(data) < 20 + struct.unpack("!H", data[2:4])[0]:
        want = 20 if len(data) < 20 else 20 + struct.unpack("!H", data[2:4])[0]
        more = sock.recv(want - len(data))
        assert more, "closed within a message"
        data += more
    return Reply(data, request)
