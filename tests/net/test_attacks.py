# SPDX-License-Identifier: Apache-2.0
"""What one source, and one certificate, can take of a relay's processor, memory and places; others
do not notice (docs/limits.md)."""
import contextlib
import json
import os
import re
import socket
import time

import hello
from console import console
from intruder import TRANSIENT, fastest_sign_in, flood, sign_in
from netlab import wait_until
from peers import WebCa, echo, nginx, receive_exactly, tls_context
from rogue import BYE, PING, WELCOME, frame
from runner import limit
from world import World, cpu_s, memory_kb, sanitized

LIMIT_LINKS = 27
MIB = 1 << 20
SIGN_IN_LATE_S = 0.1  # what a crowd or a flood may cost a sign-in


def says_hello(host, port=7000):
    with host.connect("127.0.0.1", port, timeout=10) as s:
        s.sendall(b"hello")
        assert receive_exactly(s, 5) == b"hello"


# ---- processor ----------------------------------------------------------------------------------

FLOOD_S, FLOOD_PER_S = 8, 4000
HANDSHAKES_PER_S, BURST_S = 100, 4  # limits.handshakes_per_source, and how much of it at once
MS_OF_A_HANDSHAKE = 1.5  # with a signature; more than it costs on any machine
MS_OF_A_HELLO = 0.08  # that is refused; one that is answered cost 0.33 with every hello's handshake


@limit(90)
def test_a_flood_of_hellos(lab):
    """One source says 4,000 ClientHellos a second: few are answered, the rest cost little, and an agent
    and a console sign in as fast as ever."""
    w = World(lab).two_homes()
    w.home.serve(7000, echo)
    relay, *_ = w.pair(7000)
    boss, bundle = console(w, host=w.laptop), w.issue_agent("other")
    alone = fastest_sign_in(w.laptop, bundle, "other")
    idle = cpu_s(relay.pid)
    time.sleep(2)
    idle = (cpu_s(relay.pid) - idle) / 2
    before, refused = cpu_s(relay.pid), relay.status().get("refused_LIMIT_HANDSHAKES", 0)
    context = tls_context(w.ca)
    process = flood(w.visitor, hello.Client(context, "relay.example.org").flight, FLOOD_S,
                    FLOOD_PER_S)
    time.sleep(FLOOD_S / 3)
    took = fastest_sign_in(w.laptop, bundle, "other")
    boss.run("relay", "status")
    says_hello(w.laptop)
    done = json.loads(process.wait_for_line(r"flood: (.*)", 2 * FLOOD_S).group(1))
    cpu = cpu_s(relay.pid) - before - idle * FLOOD_S
    most = HANDSHAKES_PER_S * (FLOOD_S + BURST_S + 1)
    print(f"{done} in {FLOOD_S} s: {cpu / FLOOD_S:.2f} cores, {cpu / done['begun'] * 1e3:.3f} ms each; "
          f"a sign-in takes {took:.3f} s, alone {alone:.3f} s")
    assert done["begun"] > FLOOD_S * 500, "this machine is too slow to flood anything"
    assert 0 < done["answered"] <= most, f"{done['answered']} handshakes began, {most} may"
    assert relay.status()["refused_LIMIT_HANDSHAKES"] - refused > done["begun"] * 0.6
    if not sanitized(lab):
        assert took < alone + SIGN_IN_LATE_S, f"a sign-in takes {took:.3f} s, alone {alone:.3f} s"
        allowed = (done["begun"] * MS_OF_A_HELLO + most * MS_OF_A_HANDSHAKE) / 1e3
        assert cpu < allowed, f"{cpu:.2f} s of processor, and {allowed:.2f} s are much"


def cpu_of(relay, act):
    """Seconds of processor of a relay's threads while act() runs and soon after, exactly."""
    def now():
        total = 0
        for tid in os.listdir(f"/proc/{relay.pid}/task"):
            with contextlib.suppress(FileNotFoundError), \
                    open(f"/proc/{relay.pid}/task/{tid}/schedstat", encoding="ascii") as f:
                total += int(f.read().split()[0])
        return total / 1e9

    start = now()
    act()
    time.sleep(0.3)
    return now() - start


@limit(120)
def test_what_drips_is_read_once(lab):
    """As many bytes one by one cost the same in few clients as in many, which say shorter things: of a
    ClientHello, and of a request's head in records of one byte."""
    w = World(lab).one_host()
    relay = w.relay(blocks={"limits": "  client_hello_bytes: 16KiB\n  requests_per_source: 0"})
    context = tls_context(w.ca)

    def hello_of(size):
        large = hello.large_context(tls_context(w.ca), size)
        flight = hello.Client(large, "relay.example.org").flight[:-1]  # never whole
        with w.visitor.connect("45.0.0.2", 443) as s:
            for n in range(len(flight)):
                s.sendall(flight[n:n + 1])
        return len(flight)

    def head_of(size):
        raw = w.visitor.connect("45.0.0.2", 443)
        with context.wrap_socket(raw, server_hostname="relay.example.org") as s:
            for byte in b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * (size - 28):
                s.sendall(bytes([byte]))
        return size

    def many(drip, size, times):
        for _ in range(times):
            drip(size)

    for what, drip, sizes in (("a hello", hello_of, (1500, 12000)),
                              ("a head", head_of, (950, 7600))):
        drip(sizes[0])
        rounds = [[cpu_of(relay, lambda s=size, n=times, d=drip: many(d, s, n))
                   for size, times in zip(sizes, (40, 5))] for _ in range(3)]
        costs = [min(column) for column in zip(*rounds)]
        ratio = costs[1] / costs[0]
        print(f"{what} byte by byte, {sizes[0]} bytes of 40 and {sizes[1]} of 5 clients: "
              f"{', '.join(f'{c * 1e3:.0f} ms' for c in costs)}; {ratio:.1f} times")
        assert ratio < 4, f"the bytes of {what} of eight times the size cost {ratio:.1f} times as much"


# ---- memory -------------------------------------------------------------------------------------

@limit(90)
def test_answers_that_are_not_read(lab):
    """A link asks without end and reads nothing: soon it is not read any more, and little is kept."""
    w = World(lab).two_homes()
    w.home.serve(7000, echo)
    relay, *_ = w.pair(7000)
    bundle = w.issue_agent("greedy")
    before = memory_kb(relay.pid)
    tls, kind, _body = sign_in(w.visitor, bundle, "greedy", receive_buffer=4096)
    assert kind == WELCOME
    pings = frame(PING, b"ABCDEFGH") * 1000
    sent = 0
    tls.sock.settimeout(3)
    try:
        while sent < 64 * MIB:
            tls.tls.write(pings)
            records = tls.outgoing.read()
            tls.sock.sendall(records)
            sent += len(records)
    except OSError:
        pass  # nobody reads, or the relay has had enough
    says_hello(w.laptop)
    grown = memory_kb(relay.pid) - before
    print(f"{sent / MIB:.1f} MiB of PINGs were taken, and the relay grew by {grown} kB")
    assert sent < 8 * MIB, "what nobody reads an answer to is read without end"
    if not sanitized(lab):
        assert grown < 2048, f"the relay keeps {grown} kB for a link that does not read"
    tls.sock.close()


@limit(90)
def test_what_a_stranger_makes_the_relay_keep(lab):
    """Most of a head and most of a record, 800 times: what the relay counts is what it takes."""
    first, strangers = 300, 500  # the first ones touch what is there in any case
    w = World(lab).one_host()
    relay = w.relay(blocks={"limits": "  handshakes_per_source: 0\n  per_source: 1000",
                            "metrics": "  listen: 127.0.0.1:9100"})
    context = tls_context(w.ca)

    def counted():
        with w.relay_host.connect("127.0.0.1", 9100) as s:
            s.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            text = b""
            while more := s.recv(65536):
                text += more
        return int(re.search(rb"^postern_memory_bytes (\d+)", text, re.MULTILINE).group(1))

    kept = []
    for n in range(first + strangers):
        if n == first:
            time.sleep(1)
            memory, charged = memory_kb(relay.pid), counted()
        raw = w.visitor.connect("45.0.0.2", 443)
        s = context.wrap_socket(raw, server_hostname="relay.example.org")
        s.sendall(b"GET / HTTP/1.1\r\nX: " + b"a" * 7900)
        with socket.socket(fileno=s.detach()) as plain:
            plain.sendall(b"\x17\x03\x03\x40\x00" + b"x" * 16300)
            kept.append(plain.dup())
    time.sleep(1)
    memory, charged = (memory_kb(relay.pid) - memory) / strangers, \
        (counted() - charged) / 1024 / strangers
    print(f"{memory:.1f} KiB each, {charged:.1f} KiB counted")
    for s in kept:
        s.close()
    if not sanitized(lab):
        assert memory < 64, f"{memory:.1f} KiB of one stranger"
        assert charged * 0.75 < memory < charged * 1.25 + 4, f"{memory:.1f}, counted {charged:.1f}"


def kernel_keeps(relay_host, peer):
    """What the kernel of the relay's host holds for this peer to read, in bytes."""
    lines = relay_host.run(["ss", "-Htnmi", "state", "established", "dst", peer]).stdout
    return sum(int(n) for n in re.findall(r"skmem:\(.*?,w(\d+),", lines))


@limit(90)
def test_a_public_client_that_stops_to_read(lab):
    """In the middle of much, when it was fast: the kernel keeps little of the rest for it."""
    w = World(lab).two_homes()
    ca = WebCa(lab)
    nginx(w.home, port=8443, tls=ca.issue("www.example.org"), files={"much": bytes(64 * MIB)})
    w.relay(public={"www.example.org": "home/web"})
    w.agent(w.home, "home", publish={"web": "127.0.0.1:8443"}, public=["web"])
    with w.visitor.connect("45.0.0.2", 443, timeout=20) as raw, \
            tls_context(ca.certificate).wrap_socket(raw, server_hostname="www.example.org") as s:
        s.sendall(b"GET /much HTTP/1.1\r\nHost: www.example.org\r\n\r\n")
        got = 0
        while got < 32 * MIB:
            got += len(s.recv(1 << 18))
        time.sleep(2)
        kept = kernel_keeps(w.relay_host, s.getsockname()[0])
        print(f"of a page of 64 MiB that is read half the kernel keeps {kept >> 10} KiB")
        assert 0 < kept < MIB * 5 // 8, f"{kept} bytes"
        while got < 64 * MIB:
            got += len(s.recv(1 << 18))


# ---- places -------------------------------------------------------------------------------------

@limit(120)
def test_one_certificate_has_few_links(lab):
    """256 that only ask, and one more is told why it may not; another agent signs in."""
    w = World(lab).one_host()
    w.relay()
    bundle, other = w.issue_agent("greedy"), w.issue_agent("other")
    links, told = [], 0
    for _ in range(260):
        tls, kind, body = sign_in(w.visitor, bundle, "greedy", TRANSIENT)
        if kind == WELCOME:
            links.append(tls)
        else:
            assert kind == BYE and int.from_bytes(body[:2], "big") == LIMIT_LINKS, (kind, body)
            told += 1
    assert len(links) == 256 and told == 4, (len(links), told)
    _tls, kind, _body = sign_in(w.visitor, other, "other")
    assert kind == WELCOME
    links.pop().sock.close()
    wait_until("a link that has gone makes room",
               lambda: sign_in(w.visitor, bundle, "greedy", TRANSIENT)[1] == WELCOME, 5, 0.2)


@limit(120)
def test_one_public_client(lab):
    """One source with 300 clients of a public name, one ClientHello each, has 256 sessions; agents
    have theirs, and another visitor, too."""
    w = World(lab).two_homes()
    w.home.serve(7000, echo)
    relay = w.relay(public={"www.example.org": "home/web"},
                    blocks={"limits": "  handshakes_per_source: 0"})
    w.home.serve(8443, lambda s, _peer: s.recv(1) and s.recv(65536) and time.sleep(60))
    w.agent(w.home, "home", publish={"echo": "127.0.0.1:7000", "web": "127.0.0.1:8443"},
            public=["web"])
    w.agent(w.laptop, "laptop", forward={7000: "home/echo"})
    flight = hello.Client(tls_context(w.ca), "www.example.org").flight
    clients = []
    for _ in range(300):
        clients.append(w.visitor.connect("45.0.0.2", 443))
        clients[-1].sendall(flight)
    relay.wait_status("sessions", 250)
    relay.wait_status("refused_LIMIT_PUBLIC_SOURCE", 44)
    sessions = relay.status()["sessions"]
    assert sessions <= 256, f"one source has {sessions} public sessions"
    says_hello(w.laptop)
    with w.laptop.connect("45.0.0.2", 443) as another:
        another.sendall(flight)
        relay.wait_status("sessions", sessions + 1)
    for c in clients:
        c.close()
