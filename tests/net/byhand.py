# SPDX-License-Identifier: Apache-2.0
"""byhand: signs in to a relay without Postern's programs: openssl(1) for the TLS and its exporter."""
import hmac
import os
import re
import select
import struct
import subprocess
import time

from peers import need, openssl
from rogue import HELLO, LEG, frame, pem, text8
from tag import export, tag

TRANSIENT, CONSOLE = 1, 2
BYE = 0x0a


class ByHand:
    """A connection by openssl, and what it exports for proofs."""

    count = 0

    def __init__(self, host, address):
        self.said = b""
        ByHand.count += 1
        self.secrets = host.lab.write(f"byhand{ByHand.count}.secrets", "")
        self.process = host.start(
            [need("openssl"), "s_client", "-connect", f"{address}:443", "-servername",
             "relay.example.org", "-tls1_3", "-alpn", "http/1.1", "-nocommands", "-ign_eof", "-keylogfile", self.secrets], "byhand",
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.process.ended_by_us = True
        self.until(rb"Verify return code: [^\n]*\n---\n")

    def begin(self, bundle, first):
        """The tag and the first message, which must be one record."""
        self.send(tag(bundle, self.secrets) + first)

    def send(self, data):
        self.process.popen.stdin.write(data)
        self.process.popen.stdin.flush()

    def read(self, timeout=10.0):
        """What has come; b"" at the end."""
        fd = self.process.popen.stdout.fileno()
        if not select.select([fd], [], [], timeout)[0]:
            raise TimeoutError(f"openssl said nothing for {timeout:g} s: {self.said[-200:]!r}")
        return os.read(fd, 1 << 16)

    def until(self, pattern):
        """Takes everything up to a match."""
        end = time.monotonic() + 10
        while not (found := re.search(pattern, self.said)):
            got = self.read()
            assert got and time.monotonic() < end, f"no /{pattern}/: {self.said[-300:]!r}"
            self.said += got
        self.said = self.said[found.end():]
        return found

    def answer(self):
        """The next message: its type and body."""
        # Behind the handshake openssl tells of session tickets, which would be in text.
        head = self.until(rb"\x02([\x01-\x21])([\x00-\x30][\x00-\xff])")
        length = struct.unpack("!H", head.group(2))[0]
        while len(self.said) < length:
            got = self.read()
            assert got, "the message was cut off"
            self.said += got
        body, self.said = self.said[:length], self.said[length:]
        return head.group(1)[0], body


class SignIn(ByHand):
    """HELLO with the certificate of any file, under any name, with any flags."""

    def __init__(self, host, address, bundle, name, flags, extensions=()):
        super().__init__(host, address)
        lab = host.lab
        self.key = lab.write("byhand.key", pem(bundle, "key"))
        certificate = lab.write("byhand.pem", pem(bundle, "certificate"))
        self.der = openssl("x509", "-in", certificate, "-outform", "DER")
        body = struct.pack("!B", flags) + text8(name) + text8("by hand")
        for part in (self.der, self.signature()):
            body += struct.pack("!H", len(part)) + part
        self.begin(bundle, frame(HELLO, body, extensions))

    def signature(self):
        message = self.key + ".message"
        with open(message, "wb") as f:
            f.write(b"postern/2 hello\0" + export(self.secrets, "hello"))
        return openssl("dgst", "-sha256", "-sign", self.key, message)


class WarmLeg(ByHand):
    """LEG below the link that a WELCOME told of."""

    def __init__(self, host, address, bundle, welcome):
        super().__init__(host, address)
        at = 1 + welcome[0]  # behind the relay's name, and then what it calls us
        at += 1 + welcome[at]
        link, secret = welcome[at:at + 8], welcome[at + 8:at + 40]
        proof = hmac.new(secret, export(self.secrets, "leg"), "sha256").digest()
        self.begin(bundle, frame(LEG, link + proof))
