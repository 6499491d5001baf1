# SPDX-License-Identifier: Apache-2.0
"""hostile: what a LAN's worst neighbour may answer to a search for a gateway.

Each is a host that answers SSDP and misbehaves in one way.  A Witness listens where no client should
be led to, and remembers who came.
"""
import contextlib
import threading
import time

from fakes import DESCRIPTION, SSDP_ANSWER, SSDP_GROUP, SSDP_PORT, answer_datagrams, udp

UUID = "6d6e7570-0000-4000-8000-0000000bad00"


class Witness:
    """A listener that no client may be led to."""

    def __init__(self, host, port, address="0.0.0.0"):
        self.came = []
        host.serve(port, lambda _sock, peer: self.came.append(peer), address)


class Responder:
    """Answers every search with location, and serves HTTP on port as body() says."""

    def __init__(self, host, address, port=5000, location=None, serve=None, answers=1):
        self.address, self.port, self.answers = address, port, answers
        self.location = location or f"http://{address}:{port}/description.xml"
        self.searched, self.fetched = 0, 0
        self.sent = 0
        self.over = threading.Event()
        host.lab.callbacks.append(self.over.set)
        self.sock = udp(host, SSDP_PORT, group=SSDP_GROUP, interface=address)
        answer_datagrams(host.lab, self.sock, self.answer)
        if serve:
            host.serve(port, lambda sock, _peer: self.handle(sock, serve))

    def answer(self, data, peer):
        if not data.startswith(b"M-SEARCH"):
            return None
        self.searched += 1
        text = SSDP_ANSWER.format(st="urn:schemas-upnp-org:device:InternetGatewayDevice:1", uuid=UUID,
                                  location=self.location, boot=1)
        for n in range(1, self.answers):
            self.sock.sendto(text.replace(UUID, UUID[:-5] + f"{n:05x}").encode(), peer)
        return text.encode()

    def handle(self, sock, serve):
        self.fetched += 1
        sock.recv(4096)
        with contextlib.suppress(OSError):
            serve(self, sock)

    # ---- ways of serving

    def drip(self, sock):
        """A byte now and then, for ever."""
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 20000\r\n\r\n")
        while not self.over.wait(0.2):
            sock.sendall(b"<")
            self.sent += 1

    def drip_head(self, sock):
        """As drip(), but not even the head ends."""
        sock.sendall(b"HTTP/1.1 200 OK\r\nX-Long: ")
        while not self.over.wait(0.2):
            sock.sendall(b"x")
            self.sent += 1

    def endless(self, sock):
        """As much as the reader takes."""
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\n\r\n<root>")
        end = time.monotonic() + 30
        while not self.over.is_set() and time.monotonic() < end:
            self.sent += sock.send(b"<a>" * 20000)

    def deaf(self, _sock):
        """Accepts, and says nothing."""
        self.over.wait(30)

    def redirect_to(self, target):
        def serve(_self, sock):
            sock.sendall(f"HTTP/1.1 302 Found\r\nLocation: {target}\r\n"
                         "Content-Length: 0\r\n\r\n".encode())
        return serve

    def control_at(self, url, base=""):
        """A description whose control URL (or base) is another host's."""
        def serve(_self, sock):
            text = DESCRIPTION.format(v=1, name="Gateway", uuid=UUID, control=url)
            if base:
                text = text.replace("<device>", f"<URLBase>{base}</URLBase><device>", 1)
            sock.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {len(text)}\r\n\r\n{text}".encode())
        return serve
