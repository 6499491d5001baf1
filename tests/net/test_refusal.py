# SPDX-License-Identifier: Apache-2.0
"""Bad input and refusals: counted, explained, and never at the cost of what runs."""
import re
import resource
import struct
import threading
import time

import hello
from intruder import fastest_sign_in
from peers import MIB, data, echo, ends, receive_all, receive_exactly, sha256, tls_context
from runner import limit
from world import World, get_block, set_blocks

# Deadlines short enough to wait for, and different enough to be told apart.
DEADLINES = "  hello: 1s\n  handshake: 1s\n  first: 1s\n  http_idle: 1s"


def sent_and_closed(w, payload, timeout=6.0):
    """Sends to the relay; how long it took to close the connection."""
    start = time.monotonic()
    with w.visitor.connect("45.0.0.2", 443) as s:
        try:
            s.sendall(payload)
        except OSError:
            pass
        assert ends(s, timeout), f"not closed within {timeout} s after {payload[:16].hex()}"
    return time.monotonic() - start


def counts(relay, before, *reasons):
    """Waits until one of the reasons was counted once more than before."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        now = relay.status()
        if any(now.get(f"refused_{r}", 0) > before.get(f"refused_{r}", 0) for r in reasons):
            return
        time.sleep(0.05)
    raise AssertionError(f"none of {reasons} was counted: {now}")


def record(body, kind=22, version=0x0301):
    return struct.pack("!BHH", kind, version, len(body)) + body


def test_garbage(lab):
    w = World(lab).one_host()
    relay = w.relay(blocks={"limits": DEADLINES})  # BoringSSL waits for some
    message = hello.Client(tls_context(w.ca), "relay.example.org").message()
    head, found = hello.extensions(message)
    names = [x for x in found if x[0] == 0]
    two = hello.rebuild(head, found + names)
    two_in_one = hello.rebuild(head, [
        (k, b"".join((struct.pack("!H", 2 * (len(v) - 2)), v[2:], v[2:])) if k == 0 else v)
        for k, v in found])
    long = message[:1] + (len(message)).to_bytes(3, "big") + message[4:]
    short = message[:-1]
    cases = [
        ("random bytes", data(600, seed=1), ("HELLO_GARBAGE", "HTTP_BAD")),
        ("zeros", bytes(100), ("HTTP_BAD",)),
        ("SSH banner", b"SSH-2.0-OpenSSH_9.2\r\n", ("HTTP_BAD",)),
        ("SSLv2 hello", bytes.fromhex("802e0103010015000000100100800200"), ("HELLO_GARBAGE",)),
        ("alert first", record(b"\x02\x28", kind=21), ("HTTP_BAD",)),
        ("application data first", record(b"x" * 40, kind=23), ("HTTP_BAD",)),
        ("other handshake message", record(b"\x02" + message[1:]), ("HELLO_GARBAGE",)),
        ("empty record", record(b"") + record(message), ("HELLO_AMBIGUOUS", "HELLO_GARBAGE")),
        ("record between", record(message[:50]) + record(b"\x01\x00", kind=21) +
         record(message[50:]), ("HELLO_AMBIGUOUS", "HELLO_GARBAGE")),
        ("two name extensions", record(two), ("HELLO_AMBIGUOUS",)),
        ("two names", record(two_in_one), ("HELLO_AMBIGUOUS",)),
        ("record too long", b"\x16\x03\x01\x48\x01" + bytes(600), ("HELLO_GARBAGE",
                                                                    "HELLO_TOO_LARGE")),
        ("message too long", record(b"\x01\x04\x00\x00" + bytes(16000)) +
         record(bytes(16000)), ("HELLO_TOO_LARGE",)),
        ("length beyond its message", record(long) + record(b"\x00" * 4),
         ("HELLO_AMBIGUOUS", "HELLO_GARBAGE")),
        ("length before its end", record(message[:4] + message[4:] + b"\x00" * 9),
         ("HELLO_AMBIGUOUS", "HELLO_GARBAGE")),
    ]
    for label, payload, reasons in cases:
        before = relay.status()
        try:
            took = sent_and_closed(w, payload)
            assert took < 5, f"took {took:.1f} s"
            counts(relay, before, *reasons)
        except AssertionError as e:
            raise AssertionError(f"{label}: {e}") from None
    # Cut off in the middle, then gone: no trace is left.
    for payload in (b"", short[:1], record(message)[:3], record(message)[:-7]):
        with w.visitor.connect("45.0.0.2", 443) as s:
            s.sendall(payload)
    with w.visitor.connect("45.0.0.2", 443) as raw, \
            tls_context(w.ca).wrap_socket(raw, server_hostname="relay.example.org") as s:
        # Frames of a sort: byte 2, then nonsense.
        s.sendall(b"\x02\xff\x00\x04abcd")
        assert ends(s, 5)
    for frame in (b"\x02\x01\x30\x01" + bytes(200), b"\x02\x01\x00\x00", b"\x02\x07\x00\x09" +
                  bytes(9), b"\x02\x10\x00\x28" + bytes(40), b"\x02\x01\x00\x05abcde"):
        with w.visitor.connect("45.0.0.2", 443) as raw, \
                tls_context(w.ca).wrap_socket(raw, server_hostname="relay.example.org") as s:
            s.sendall(frame)
            assert ends(s, 5), f"frame {frame[:4].hex()} was not refused"
    done = w.visitor.run(["curl", "-sSf", "-m", "5", "--cacert", w.ca,
                          "https://relay.example.org/"])
    assert done.returncode == 0
    assert "error:" not in relay.log(), "hostile input was logged as an error"


# ---- identities ---------------------------------------------------------------------------------

def test_wrong_certificates(lab):
    w = World(lab).two_homes()
    relay = w.relay()
    other = World(lab, pki="other-pki")
    # Of another CA, but trusting ours, too: the relay must refuse it.
    config = w.issue_agent("laptop")
    foreign = other.issue_agent("laptop", out="foreign.yaml")
    trust_both(config, foreign)
    before = relay.status()
    agent = w.start_agent(w.laptop, config, "foreign", wait=False)
    agent.wait_for_line(r"not signed by this relay's CA", 10)
    counts(relay, before, "CERT_UNTRUSTED")
    # Of another CA altogether: the agent refuses the relay.
    agent = w.start_agent(w.laptop, other.issue_agent("laptop", out="stranger.yaml"), "stranger",
                          wait=False)
    agent.wait_for_line(r"TLS is being intercepted by|signed with another key", 10)
    # For another name than the configuration says.
    config = w.issue_agent("laptop", out="renamed.yaml", blocks={"name": "somebody"})
    renamed = w.start_agent(w.laptop, config, "renamed", wait=False)
    assert renamed.wait(5), "an agent runs under a name that is not its certificate's"
    assert "somebody" in renamed.log(), renamed.log()
    assert relay.status()["links"] == 0


def trust_both(config, foreign):
    """The foreign file's certificate and key, in a file that trusts both CAs."""
    own, other = get_block(config, "identity"), get_block(foreign, "identity")

    def part(block, key):
        return re.search(rf"^  {key}: \|\n((?:    .*\n)+)", block, re.MULTILINE).group(1)

    set_blocks(config, {"identity": f"  ca: |\n{part(own, 'ca')}{part(other, 'ca')}"
                                    f"  certificate: |\n{part(other, 'certificate')}"
                                    f"  key: |\n{part(other, 'key')}"
                                    f"  tag_keys: |\n{part(own, 'tag_keys')}"})


def test_expired_certificate(lab):
    """At its start the agent says so itself; later on the relay refuses it."""
    w = World(lab).two_homes()
    running = w.start_agent(w.home, w.issue_agent("home", expires="3s"), "expiring", wait=False)
    running.wait_for_line(r"agent: ready")
    config = w.issue_agent("laptop", expires="1s")
    time.sleep(3.1)
    relay = w.relay()
    agent = w.start_agent(w.laptop, config, "expired", wait=False)
    agent.wait_for_line(r"certificate.*expired", 10)
    assert agent.wait(5), "an agent runs with an expired certificate"
    running.wait_for_line(r"certificate.*expired", 20)
    status = relay.status()
    assert status["links"] == 0 and status.get("refused_CERT_EXPIRED", 0) >= 1, status


def test_unknown_targets(lab):
    """What is not there is told at once, by name, and the connection closed."""
    w = World(lab).two_homes()
    w.relay()
    w.agent(w.home, "home", publish={"down": "127.0.0.1:9", "echo": "127.0.0.1:7000",
                                     "nowhere": "no-such-host.example.org:80",
                                     "private": "127.0.0.1:7000"},
            allow={"private": ["somebody-else"]})
    w.home.serve(7000, echo)
    laptop = w.agent(w.laptop, "laptop", forward={
        7001: "nobody/echo", 7002: "home/nothing", 7003: "home/down", 7004: "home/private",
        7005: "home/nowhere", 7000: "home/echo"})
    cases = {7001: ("nobody/echo", "not connected"), 7002: ("home/nothing", "does not publish"),
             7003: ("home/down", "could not be reached"), 7004: ("home/private", "not allow"),
             7005: ("home/nowhere", "host name could not be resolved")}
    for port, (target, sentence) in cases.items():
        laptop.remember()
        start = time.monotonic()
        try:
            with w.laptop.connect("127.0.0.1", port) as s:
                assert ends(s, 10), f"{target}: the connection stays open"
        except ConnectionResetError:
            pass  # refused before connect() returned
        took = time.monotonic() - start
        assert took < 6, f"{target}: closed after {took:.1f} s only"
        line = laptop.wait_for_line(rf"^.*{target}.*$", 5).group(0)
        assert sentence in line, f"{target}: {line}"
    assert "127.0.0.1:9 (service down): Connection refused" in laptop.log()
    with w.laptop.connect("127.0.0.1", 7000) as s:  # and the good one works
        s.sendall(b"hello")
        assert receive_exactly(s, 5) == b"hello"


def test_allowed_agents(lab):
    """allow: names who may; the same service works for that agent."""
    w = World(lab).two_homes()
    w.home.serve(7000, echo)
    w.relay()
    w.agent(w.home, "home", publish={"echo": "127.0.0.1:7000"}, allow={"echo": ["laptop"]})
    w.agent(w.laptop, "laptop", forward={7000: "home/echo"})
    stranger = w.agent(w.visitor, "stranger", forward={7000: "home/echo"})
    with w.laptop.connect("127.0.0.1", 7000) as s:
        s.sendall(b"hello")
        assert receive_exactly(s, 5) == b"hello"
    with w.visitor.connect("127.0.0.1", 7000) as s:
        assert ends(s, 5)
    stranger.wait_for_line(r"home/echo.*not allowed|not allowed.*home/echo", 5)


def test_same_name_twice(lab):
    """The newest agent of a name wins; the older one is told why and does not fight back."""
    w = World(lab).two_homes()
    w.relay()
    config = w.issue_agent("home", publish={"who": "127.0.0.1:7000"})
    w.home.serve(7000, lambda s, p: s.sendall(b"old"))
    w.visitor.serve(7000, lambda s, p: s.sendall(b"new"))
    old = w.start_agent(w.home, config, "home-old")
    w.agent(w.laptop, "laptop", forward={7000: "home/who"})
    with w.laptop.connect("127.0.0.1", 7000) as s:
        assert receive_all(s) == b"old"
    new = w.start_agent(w.visitor, config, "home-new")
    old.wait_for_line(r"signed in with this agent's name", 5)
    with w.laptop.connect("127.0.0.1", 7000) as s:
        assert receive_all(s) == b"new"
    assert "signed in with this agent's name" not in new.log(), "the old one took the name back"


# ---- time ---------------------------------------------------------------------------------------

def test_slow_clients(lab):
    """Each phase has its deadline; a drip of bytes does not buy time."""
    w = World(lab).one_host()
    relay = w.relay(blocks={"limits": DEADLINES})
    context = tls_context(w.ca)
    flight = hello.Client(context, "relay.example.org").flight

    def drip(payload, label):
        with w.visitor.connect("45.0.0.2", 443) as s:
            start = time.monotonic()
            s.settimeout(0.1)
            n = 0
            while time.monotonic() - start < 6:
                try:
                    if n < len(payload):
                        s.sendall(payload[n:n + 1])
                        n += 1
                    if not s.recv(65536):
                        break
                except TimeoutError:
                    continue
                except OSError:
                    break
            took = time.monotonic() - start
            assert 0.7 < took < 4, f"{label}: closed after {took:.1f} s"

    def handshake_then_nothing():
        with w.visitor.connect("45.0.0.2", 443) as raw, \
                context.wrap_socket(raw, server_hostname="relay.example.org") as s:
            start = time.monotonic()
            assert ends(s, 5)
            took = time.monotonic() - start
            assert 0.7 < took < 4, f"first: closed after {took:.1f} s"

    def hello_then_nothing():
        start = sent_and_closed(w, flight)
        assert 0.7 < start < 4, f"handshake: closed after {start:.1f} s"

    def silent():
        took = sent_and_closed(w, b"")
        assert 0.7 < took < 4, f"silent: closed after {took:.1f} s"

    for reason, attack in (("DEADLINE_HELLO", silent),
                           ("DEADLINE_HELLO", lambda: drip(flight, "hello")),
                           ("DEADLINE_HANDSHAKE", hello_then_nothing),
                           ("DEADLINE_FIRST", handshake_then_nothing)):
        before = relay.status()
        attack()
        counts(relay, before, reason)


@limit(120)
def test_flood_of_silence(lab):
    """Five thousand silent connections from many sources; an agent signs in as fast as ever, and a
    transfer runs through and completes."""
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    assert files >= 6000, f"ulimit -n is {files}; this test opens 5000 sockets: raise it to 6000"
    w = World(lab).two_homes()
    w.home.serve(7000, echo)
    relay, *_ = w.pair(7000, relay_blocks={"limits": "  hello: 6s\n  per_source: 64"})
    bundle = w.issue_agent("other")
    alone = fastest_sign_in(w.laptop, bundle, "other")
    content = data(16 * MIB, seed=8)
    with w.laptop.connect("127.0.0.1", 7000, timeout=60) as s:
        sender = threading.Thread(target=s.sendall, args=(content[:MIB],))
        sender.start()
        assert receive_exactly(s, MIB) == content[:MIB]
        sender.join()
        silent = []
        for n in range(5000):
            source = f"127.{1 + n // 50 // 200}.{n // 50 % 200}.7"
            silent.append(w.relay_host.connect("127.0.0.1", 443, source=(source, 0)))
        crowded = fastest_sign_in(w.laptop, bundle, "other")
        sender = threading.Thread(target=s.sendall, args=(content,))
        sender.start()
        assert sha256(receive_exactly(s, len(content))) == sha256(content)
        sender.join()
        with w.laptop.connect("127.0.0.1", 7000) as another:  # new work is still served
            another.sendall(b"hello")
            assert receive_exactly(another, 5) == b"hello"
    print(f"a sign-in takes {crowded:.3f} s among {len(silent)} silent ones, {alone:.3f} s alone")
    assert crowded < alone + 0.1, f"a sign-in takes {crowded:.3f} s, alone {alone:.3f} s"
    try:
        # A quarter of the connections is for the unproven: the oldest beyond that made room.
        relay.wait_status("refused_DEADLINE_HELLO", 4500, 20)
        made_room = relay.status().get("refused_LIMIT_UNPROVEN", 0)
        relay.wait_status("refused_DEADLINE_HELLO", 5000 - made_room, 20)
        # From a single source only so many: the rest is turned away, others are not.
        before = relay.status()
        many = [w.visitor.connect("45.0.0.2", 443) for _ in range(200)]
        counts(relay, before, "LIMIT_SOURCE")
        turned_away = relay.status()["refused_LIMIT_SOURCE"]
        assert 100 <= turned_away <= 140, turned_away
        with w.laptop.connect("127.0.0.1", 7000) as s:
            s.sendall(b"hello")
            assert receive_exactly(s, 5) == b"hello"
        for sock in many:
            sock.close()
    finally:
        for sock in silent:
            sock.close()
