# SPDX-License-Identifier: Apache-2.0
"""A management server in a closed network: what crosses for long is untouched by the console."""
import contextlib
import ssl
import threading
import time

from console import console
from netlab import wait_until
from peers import WebCa, echo, receive_exactly, tls_context
from runner import limit
from world import RELAY_NAME, World, get_block, with_block

SITES, PER_SITE, APPLIES = 4, 5, 50
HTTPS, CONTROL, EVENTS = 8443, 8444, 8445
NAME = "manager.example.org"


def tls_server(host, port, chain, handler):
    """Answers TLS connections on a port by handler(socket)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*chain)

    def one(sock, peer):
        with contextlib.suppress(OSError), context.wrap_socket(sock, server_side=True) as tls:
            handler(tls, peer)

    host.serve(port, one)


def page(sock, _peer):
    sock.recv(4096)
    sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\nConnection: close\r\n\r\nmanager")


def ticks(sock, _peer):
    for n in range(1000):
        sock.sendall(b"tick %03d\n" % n)
        time.sleep(0.2)


class Member:
    """A remote agent's control connection: each second a heartbeat, whose echo must come."""

    def __init__(self, host, name, port, context):
        self.name, self.beats, self.broken = name, 0, None
        self.over = threading.Event()
        self.sock = context.wrap_socket(host.connect("127.0.0.1", port, timeout=20),
                                        server_hostname=NAME)
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        try:
            while not self.over.is_set():
                text = b"%s beat %06d\n" % (self.name.encode(), self.beats)
                self.sock.sendall(text)
                assert receive_exactly(self.sock, len(text)) == text, "another's echo"
                self.beats += 1
                self.over.wait(1)
        except (OSError, AssertionError) as e:
            self.broken = str(e) or type(e).__name__


def sites(w):
    """Networks with NAT, each with one host for several remote agents."""
    return [w.lab.home(f"s{n}", f"45.0.0.{30 + n}", f"192.168.{30 + n}", [f"site{n}"])[1]
            for n in range(SITES)]


def served_certificate(w):
    """What the relay shows to a visitor now."""
    context = ssl.create_default_context(cafile=w.ca)
    with context.wrap_socket(w.visitor.connect("45.0.0.2", 443), server_hostname=RELAY_NAME) as s:
        return s.getpeercert(binary_form=True)


def rotate(w, boss):
    """Puts a new certificate of the relay's in force."""
    before = served_certificate(w)
    current = boss.edited(lambda text: text)
    w.tool("pki", "renew", w.pki, current)
    boss.run("relay", "config", "apply", current)
    wait_until("the new certificate is shown", lambda: served_certificate(w) != before, 5, 0.1)


@limit(150)
def test_control_pass_through(lab):
    """Twenty control connections live through fifty configurations and a new certificate; only the
    one whose agent is revoked ends."""
    w = World(lab).two_homes()
    ca = WebCa(lab)
    chain = ca.issue(NAME)
    tls_server(w.home, HTTPS, chain, page)
    tls_server(w.home, CONTROL, chain, echo)
    tls_server(w.home, EVENTS, chain, ticks)
    relay = w.relay()
    w.agent(w.home, "manager", publish={"https": f"127.0.0.1:{HTTPS}",
                                        "control": f"127.0.0.1:{CONTROL}",
                                        "events": f"127.0.0.1:{EVENTS}"})
    boss, context, members = console(w), tls_context(ca.certificate), []
    hosts = sites(w)
    for site, host in enumerate(hosts):
        for n in range(PER_SITE):
            name, port = f"member{site * PER_SITE + n}", 21000 + n
            forward = {port: "manager/control"}
            if n == 0:
                forward |= {22000: "manager/https", 22001: "manager/events"}
            w.agent(host, name, forward=forward)
            members.append(Member(host, name, port, context))
    events = context.wrap_socket(hosts[-1].connect("127.0.0.1", 22001), server_hostname=NAME)
    first = boss.revision()
    for n in range(APPLIES):
        boss.run("relay", "config", "apply", boss.edited(
            lambda text, n=n: with_block(text, "limits", f"  per_source: {500 + n}")))
        time.sleep(0.2)  # so that heartbeats fall between
        if n == APPLIES // 2:
            rotate(w, boss)
    assert boss.revision() >= first + APPLIES
    revoked = members.pop(7)
    assert not revoked.broken, revoked.broken
    boss.run("revoke", revoked.name)
    wait_until("the revoked agent's connection ends", lambda: revoked.broken, 5)
    reached = [m.beats for m in members]
    wait_until("three more beats of each",
               lambda: all(m.broken or m.beats >= b + 3 for m, b in zip(members, reached)), 15)
    broken = {m.name: m.broken for m in members if m.broken}
    assert not broken, f"{len(broken)} connections broke: {broken}"
    for m in members:
        m.over.set()
    with context.wrap_socket(hosts[-1].connect("127.0.0.1", 22000), server_hostname=NAME) as s:
        s.sendall(b"GET / HTTP/1.1\r\nHost: manager\r\n\r\n")
        got = s.recv(4096)
        assert got.startswith(b"HTTP/1.1 200"), got
    ticked = receive_exactly(events, 9 * 20)
    assert ticked == b"".join(b"tick %03d\n" % n for n in range(20)), ticked
    events.close()
    print(f"beats {min(reached)} to {max(reached)}, revision {boss.revision()}, "
          f"{relay.status()['sessions']} sessions")
