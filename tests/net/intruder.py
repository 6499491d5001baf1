# SPDX-License-Identifier: Apache-2.0
"""intruder: a peer with a good file and a program of its own, in this process, so that hundreds cost
little; and what floods a relay from a process of its own.

Run as a program it is the flood: intruder.py ADDRESS PORT SECONDS PER_SECOND FILE says the file's bytes
on each of so many connections a second and resets it at the first answer. It tells what it did.
"""
import contextlib
import errno
import itertools
import json
import os
import select
import socket
import ssl
import struct
import sys
import time

NUMBERS = itertools.count(1)
TRANSIENT = 1  # HELLO's flag


# ---- a peer -------------------------------------------------------------------------------------

def dial(host, address="45.0.0.2", source=None, receive_buffer=None):
    """TLS as agents have it, and the path of its secrets."""
    from rogue import Tls  # pylint: disable=import-outside-toplevel

    secrets = host.lab.write(f"intruder{next(NUMBERS)}.secrets", "")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["http/1.1"])
    context.keylog_filename = secrets
    sock = host.connect(address, 443, source=source)
    if receive_buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    return Tls(sock, context, False), secrets


def sign_in(host, bundle, name, flags=0, **options):
    """HELLO; the connection, and the type and body of the answer. Its waited_s is what the relay took,
    from the first SYN on: the signature is this side's."""
    from peers import openssl  # pylint: disable=import-outside-toplevel
    from rogue import HELLO, frame, pem, text8
    from tag import export, tag

    start = time.monotonic()
    tls, secrets = dial(host, **options)
    tls.waited_s = time.monotonic() - start
    key = host.lab.write("intruder.key", pem(bundle, "key"))
    message = host.lab.path("intruder.message")
    with open(message, "wb") as f:
        f.write(b"postern/2 hello\0" + export(secrets, "hello"))
    body = struct.pack("!B", flags) + text8(name) + text8("by hand")
    certificate = host.lab.write("intruder.pem", pem(bundle, "certificate"))
    for part in (openssl("x509", "-in", certificate, "-outform", "DER"),
                 openssl("dgst", "-sha256", "-sign", key, message)):
        body += struct.pack("!H", len(part)) + part
    first = tag(bundle, secrets) + frame(HELLO, body)  # one record
    start = time.monotonic()
    tls.write(first)
    answer = tls.hear()
    tls.waited_s += time.monotonic() - start
    return tls, *answer


def fastest_sign_in(host, bundle, name, times=8):
    """Seconds that the relay took for the fastest of so many sign-ins: others may have this machine's
    processors meanwhile."""
    from rogue import WELCOME  # pylint: disable=import-outside-toplevel

    waited = []
    for _ in range(times):
        tls, kind, body = sign_in(host, bundle, name, TRANSIENT)
        assert kind == WELCOME, (kind, body)
        waited.append(tls.waited_s)
        tls.sock.close()
    return min(waited)


# ---- a flood ------------------------------------------------------------------------------------

LINGER = struct.pack("ii", 1, 0)  # close() resets
AT_ONCE = 300


class Flood:
    def __init__(self, address, port, said):
        self.to, self.said = (address, port), said
        self.poll, self.waiting = select.epoll(), {}
        self.begun = self.answered = self.closed = 0

    def begin(self):
        s = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER)
        if s.connect_ex(self.to) not in (0, errno.EINPROGRESS):
            s.close()
            return
        self.begun += 1
        self.waiting[s.fileno()] = s
        self.poll.register(s.fileno(), select.EPOLLOUT)

    def end(self, s):
        del self.waiting[s.fileno()]
        s.close()

    def turn(self, timeout):
        for fd, events in self.poll.poll(timeout):
            s = self.waiting[fd]
            try:
                if events & select.EPOLLOUT:
                    s.send(self.said)
                    self.poll.modify(fd, select.EPOLLIN)
                    continue
                got = s.recv(1)
            except OSError:
                got = b""
            self.answered += len(got)
            self.closed += not got
            self.end(s)

    def run(self, seconds, per_second):
        start = time.monotonic()
        while (now := time.monotonic() - start) < seconds:
            due = int(now * per_second) - self.begun - self.missed(now, per_second)
            for _ in range(max(0, min(due, AT_ONCE - len(self.waiting), 50))):
                self.begin()
            self.turn(0.002)
        for s in list(self.waiting.values()):
            with contextlib.suppress(OSError):
                self.end(s)
        return {"begun": self.begun, "answered": self.answered, "closed": self.closed}

    def missed(self, now, per_second):
        """What this machine was too slow for is not made up for."""
        return max(0, int(now * per_second) - self.begun - AT_ONCE)


def flood(host, said, seconds, per_second, address="45.0.0.2", port=443):
    """Starts one from this host; its process, whose log tells as JSON what it did."""
    path = host.lab.path("flood.bytes")
    with open(path, "wb") as f:
        f.write(said)
    process = host.start([sys.executable, os.path.abspath(__file__), address, str(port),
                          str(seconds), str(per_second), path], "flood")
    process.must_end_well = True
    return process


def main():
    address, port, seconds, per_second, path = sys.argv[1:]
    with open(path, "rb") as f:
        said = f.read()
    done = Flood(address, int(port), said).run(float(seconds), int(per_second))
    print("flood:", json.dumps(done), file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
