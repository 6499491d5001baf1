# SPDX-License-Identifier: Apache-2.0
"""The relay answers STUN: other people's clients, every way in, and silence where it belongs."""
import hmac
import os
import re
import shlex
import signal
import socket
import subprocess
import time

from capture import Capture
from console import console
from netlab import wait_until
from peers import ends, receive_all, tls_context
from runner import limit, once
from stun_wire import (ALTERNATE_SERVER, CHANGE_REQUEST, FINGERPRINT, INTEGRITY_SHA256,
                       OTHER_ADDRESS, RESPONSE_ORIGIN, USERNAME, XOR_MAPPED, Client, Reply, address, attribute, message,
                       read_stream)
from world import World, set_blocks, with_block

RELAY, OTHER = "45.0.0.2", "45.0.0.3"
RELAY6, VISITOR6 = "2001:db8::2", "2001:db8::100"
HERE = os.path.dirname(os.path.abspath(__file__))


def one_host(lab, stun="", listen=None):
    """A relay and a visitor, both families; (world, relay)."""
    w = World(lab).one_host()
    for host, six in ((w.relay_host, RELAY6), (w.visitor, VISITOR6)):
        host.ip("addr", "add", f"{six}/64", "dev", "eth0", "nodad")
    w.relay_host.ip("addr", "add", f"{OTHER}/24", "dev", "eth0")
    config = w.issue_relay(blocks={"stun": "  enabled: true\n" + stun})
    if listen:
        set_blocks(config, {"listen": listen})
    return w, w.start_relay(config)


def counts(boss):
    return boss.json("relay", "status")["stun"]


# ---- other people's clients ---------------------------------------------------------------------

def test_stun_clients(lab):
    """coturn's client and libnice's, on both ports, over IPv4 and IPv6."""
    w, relay = one_host(lab, "  listen: ['[::]:3478', '[::]:443']")
    nice = lab.path("nice_stun")
    flags = subprocess.run(["pkg-config", "--cflags", "--libs", "nice"], capture_output=True,
                           text=True, timeout=10, check=False)
    assert flags.returncode == 0, f"{flags.stderr}install libnice-dev and pkg-config"
    subprocess.run(["cc", "-o", nice, os.path.join(HERE, "..", "support", "nice_stun.c"),
                    *shlex.split(flags.stdout)], check=True, timeout=60)
    for port in (443, 3478):
        for server, own in ((RELAY, "45.0.0.100"), (RELAY6, VISITOR6)):
            said = w.visitor.run(["timeout", "20", "turnutils_stunclient", "-p", port, server])
            told = re.findall(r"UDP reflexive addr: \[?([0-9a-f.:]+?)\]?:\d+$", said.stdout,
                              re.MULTILINE)
            assert told and set(told) == {own}, said.stdout
            assert w.visitor.run([nice, server, port]).stdout.strip() == own
    assert relay.status()["stun_udp_answered"] == 8


def test_stun_address_asked(lab):
    """On a wildcard, too, the answer comes from the address that was asked."""
    w, _ = one_host(lab, "  listen: ['0.0.0.0:3478', '[::]:3478']")
    w.relay_host.ip("addr", "add", "2001:db8::3/64", "dev", "eth0", "nodad")
    for server in (RELAY, OTHER, RELAY6, "2001:db8::3"):
        with Client(w.visitor, server) as c:  # hears no other sender
            c.told()
    for server in (RELAY, OTHER):
        with Client(w.visitor, server, 443) as c:
            c.told()
    with w.visitor.inside():
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with s:  # a broadcast is for all hosts, and so for none to answer
        s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        s.settimeout(1)
        s.bind(("45.0.0.100", 0))
        s.sendto(message(), ("45.0.0.255", 3478))
        request = message()
        s.sendto(request, (OTHER, 3478))
        data, peer = s.recvfrom(2000)
        assert Reply(data, request).mapped == s.getsockname() and peer == (OTHER, 3478), peer


# ---- what is answered, and what is not ----------------------------------------------------------

def test_stun_answers(lab):
    w, relay = one_host(lab)
    with Client(w.visitor, RELAY, 443) as c:
        plain = c.ask()
        assert plain.mapped == c.own()
        assert set(plain.attributes) == {XOR_MAPPED} and len(plain.data) == 32
        marked = c.ask(message(fingerprint=True))
        assert marked.mapped == c.own() and FINGERPRINT in marked.attributes
        assert c.ask(message(attributes=attribute(0x7FFF, b"what"))).code == 420
        assert c.ask(message(attributes=attribute(CHANGE_REQUEST, b"\0\0\0\6"))).code == 420
    assert relay.status() | {"stun_udp_answered": 2, "stun_udp_answered_error": 2} == \
        relay.status()


def test_stun_silence(lab):
    """What is no request is not answered, but counted."""
    w, relay = one_host(lab)
    damaged = bytearray(message(fingerprint=True))
    damaged[-1] ^= 1
    quiet = {
        "not_stun": [message(cookie=0), message()[:19], message()[:8], b"\0",
                     message() + b"\0\0\0\0", message(attributes=b"\0" * 3),
                     message(attributes=b"\0" * 1600)],
        "class": [message(kind=0x0101), message(kind=0x0111), message(kind=0x0011)],
        "method": [message(kind=0x0003)],
        "damaged": [bytes(damaged)],
        "other_protocol": [b"", b"\x16\xfe\xfd" + b"\0" * 30, b"\x80" * 40, b"\x40\0\0\0",
                           b"\x04" + message()[1:], b"\xff" * 1400],
    }
    asked = 0
    with Client(w.visitor, RELAY, 443) as c:
        for datagrams in quiet.values():
            for data in datagrams:
                c.hears_nothing(data)
                asked += 1
    now = relay.status()
    assert now["stun_udp_answered"] == asked, now
    for name, datagrams in quiet.items():
        expected = len(datagrams) - (name == "not_stun")  # the longest never arrives
        assert now.get(f"stun_udp_{name}", 0) == expected, (name, now)


def test_stun_limit(lab):
    """A network gets its burst and no more; its neighbours do not notice."""
    w, relay = one_host(lab, "  rate: 1\n  burst: 5")
    w.visitor.ip("addr", "add", "45.0.1.100/24", "dev", "eth0")
    w.relay_host.ip("route", "add", "45.0.1.0/24", "dev", "eth0")
    with Client(w.visitor, RELAY, 443) as c:
        for _ in range(30):
            c.sock.send(message())
        wait_until("the flood is counted", lambda: relay.status().get("stun_udp_limited", 0) > 0)
        with Client(w.visitor, RELAY, 443, source="45.0.1.100") as neighbour:
            neighbour.told()
        c.sock.settimeout(0.3)
        heard = 0
        while True:
            try:
                c.sock.recv(2000)
                heard += 1
            except TimeoutError:
                break
        assert 5 <= heard < 15, heard
        now = relay.status()
        assert now["stun_udp_answered"] + now["stun_udp_limited"] == 31, now


# ---- TCP ----------------------------------------------------------------------------------------

def test_stun_tcp(lab):
    """Several requests of a connection, in any pieces, on the TLS port and on STUN's own."""
    w, relay = one_host(lab, "  listen: ['0.0.0.0:3478']")
    for port in (443, 3478):
        with w.visitor.connect(RELAY, port) as s:
            first = message(fingerprint=True)
            for byte in first:
                s.sendall(bytes([byte]))
                time.sleep(0.001)
            assert read_stream(s, first).mapped == s.getsockname()
            some = [message() for _ in range(20)]
            s.sendall(message(kind=0x0011) + b"".join(some) + first[:7])
            for request in some:
                assert read_stream(s, request).mapped == s.getsockname()
            s.sendall(first[7:])
            assert FINGERPRINT in read_stream(s, first).attributes
            s.sendall(message(attributes=attribute(CHANGE_REQUEST, b"\0\0\0\6")))
            assert s.recv(2000)[:2] == b"\x01\x11"
            s.sendall(first)
            s.shutdown(socket.SHUT_WR)
            assert Reply(receive_all(s), first).mapped == s.getsockname()
    # The TLS port is still one.
    with tls_context(w.ca).wrap_socket(w.visitor.connect(RELAY, 443),
                                       server_hostname="relay.example.org") as s:
        s.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert receive_all(s).startswith(b"HTTP/1.1 200 ")
    now = relay.status()
    assert now["stun_tcp_answered"] == 46 and now["stun_tcp_class"] == 2, now


def test_stun_tcp_refusals(lab):
    w, relay = one_host(lab, "  listen: ['0.0.0.0:3478']")
    good = message()
    with w.visitor.connect(RELAY, 443) as s:
        s.sendall(good + b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert ends(s, 5), "something else on a connection for STUN"
    for garbage in (b"\x16\x03\x01\x02\x00" + b"\1" * 60, message(cookie=1), b"GET / HTTP/1.1\r\n"):
        with w.visitor.connect(RELAY, 3478) as s:
            s.sendall(garbage)
            assert ends(s, 5), f"{garbage[:10]!r} on STUN's own port"
    wait_until("counted", lambda: relay.status().get("refused_STUN_GARBAGE") == 4)
    with w.visitor.connect(RELAY, 443) as s:
        s.sendall(message(cookie=1))
        assert ends(s, 5)
    assert relay.status()["refused_HTTP_BAD"] == 1
    with w.visitor.connect(RELAY, 3478) as s:  # asks too often
        many = [message() for _ in range(100)]
        s.sendall(b"".join(many))
        for request in many[:64]:
            assert read_stream(s, request).mapped == s.getsockname()
        assert ends(s, 5)
    assert relay.status()["refused_LIMIT_STUN"] == 1


def test_stun_tcp_deadlines(lab):
    w = World(lab).one_host()
    relay = w.relay(blocks={"stun": "  enabled: true\n  listen: ['0.0.0.0:3478']",
                            "limits": "  hello: 1s\n  http_idle: 1s"})
    with w.visitor.connect(RELAY, 3478) as silent, w.visitor.connect(RELAY, 443) as part, \
            w.visitor.connect(RELAY, 443) as idle:
        part.sendall(message()[:10])
        idle.sendall(message())
        idle.settimeout(5)
        assert len(idle.recv(100)) == 32
        start = time.monotonic()
        with w.visitor.connect(RELAY, 3478) as drip:
            drip.settimeout(0.2)
            while time.monotonic() - start < 8:  # a drip does not buy time
                try:
                    drip.sendall(b"\0")
                    if not drip.recv(1):
                        break
                except TimeoutError:
                    continue
                except OSError:
                    break
            assert time.monotonic() - start < 6
        for s in (silent, part, idle):
            assert ends(s, 5)
    now = relay.status()
    assert now["refused_DEADLINE_IDLE"] + now["refused_DEADLINE_HELLO"] >= 3, now


def test_stun_behind_proxy(lab):
    """Behind a PROXY header a client is told its own address, not the proxy's; and no UDP there."""
    w, relay = one_host(lab, listen="  - address: 0.0.0.0:443\n    proxy_protocol: true")
    with w.visitor.connect(RELAY, 443) as s:
        request = message()
        s.sendall(b"PROXY TCP4 203.0.113.9 45.0.0.2 40001 443\r\n" + request)
        assert read_stream(s, request).mapped == ("203.0.113.9", 40001)
    with Client(w.visitor, RELAY, 443) as c:
        refused(c)
    assert "udp=stun" not in relay.log()


def silent(client, *requests):
    """Nothing answers, and the host does not say that no program is there."""
    for request in requests:
        client.sock.send(request)
    client.sock.settimeout(1)
    try:
        heard = client.sock.recv(2000)
    except TimeoutError:
        return
    raise AssertionError(f"the address answers {heard!r}")


def refused(client):
    """No program is there: the host says so."""
    client.sock.send(message())
    try:
        client.sock.recv(100)
    except ConnectionRefusedError:
        return
    raise AssertionError("the address answers")


# ---- links --------------------------------------------------------------------------------------

def proof(username, password):
    """A request with short-term credentials (RFC 8489 section 9.1)."""
    attributes = attribute(USERNAME, username)
    number = os.urandom(12)
    made = hmac.new(password, message(attributes=attributes + b"\0" * 36, number=number)[:20] +
                    attributes, "sha256").digest()
    return message(attributes=attributes + attribute(INTEGRITY_SHA256, made), number=number,
                   fingerprint=True)


def nginx_says(w, data):
    """What a stranger hears over TCP, but for the date."""
    with w.visitor.connect(RELAY, 443) as s:
        s.sendall(data)
        return re.sub(rb"Date: [^\r]*", b"", receive_all(s))


def test_stun_links(lab):
    """Agents behind NATs learn their routers' addresses of a relay that tells nobody else."""
    w = World(lab).two_homes()
    watch = Capture(w.relay_host, condition="udp port 443", name="links")
    relay = w.relay()
    boss = console(w)
    home = w.agent(w.home, "home")
    w.agent(w.laptop, "laptop", blocks={"stun": "false"})

    def seen(agent):
        return boss.json("agent", "status", agent)["links"][0].get("seen_udp", "")

    wait_until("home is told", lambda: seen("home"))
    assert seen("home").startswith("45.0.0.20:"), seen("home")
    assert seen("home") in boss.run("agent", "status", "home").stdout
    assert "sees our datagrams come from" in home.log()
    time.sleep(1.5)  # laptop, which came later, would have asked by now
    assert seen("laptop") == ""
    assert counts(boss)["udp"]["answered"] == 1, counts(boss)

    watch.stop()
    asked = [(data, sport) for _, sport, _, dport, data in watch.datagrams() if dport == 443]
    assert len(asked) == 1, asked
    request = asked[0][0]
    username = request[24:48]
    assert re.fullmatch(rb"[0-9a-f]{16}00000001", username), request.hex()
    wrong, unknown = (proof(name, b"0" * 64) for name in (username, b"0123456789abcdef00000001"))
    with Client(w.visitor, RELAY, 443) as c:  # who saw the request can do nothing with it
        silent(c, message(), message(fingerprint=True), wrong, unknown, request[:-1], request)
    garbage = nginx_says(w, b"\0\1" + os.urandom(90))
    assert garbage.startswith(b"HTTP/1.1 400 "), garbage
    for data in (wrong, unknown, message(), request):
        assert nginx_says(w, data) == garbage

    home.signal(signal.SIGTERM)
    home.wait(10)
    relay.wait_for_line(r"link: down agent=home")
    with Client(w.visitor, RELAY, 443) as c:
        silent(c, request)
    assert nginx_says(w, request) == garbage


# ---- RFC 5780 -----------------------------------------------------------------------------------

BEHAVIOUR = f"  behaviour: {{address: '{RELAY}:3478', other: '{OTHER}:3479'}}"


def test_stun_behaviour(lab):
    """The four sockets, and where each says the others are."""
    w, relay = one_host(lab, BEHAVIOUR)
    for a in (RELAY, OTHER):
        for p in (3478, 3479):
            far = (OTHER if a == RELAY else RELAY, 3479 if p == 3478 else 3478)
            for change, origin in ((0, (a, p)), (2, (a, far[1])), (4, (far[0], p)), (6, far)):
                with w.visitor.inside():
                    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                with s:
                    s.bind(("45.0.0.100", 0))
                    s.settimeout(5)
                    request = message(attributes=attribute(CHANGE_REQUEST, bytes([0, 0, 0, change])))
                    s.sendto(request, (a, p))
                    data, peer = s.recvfrom(2000)
                    reply = Reply(data, request)
                    assert peer == origin, (a, p, change, peer)
                    assert reply.mapped == s.getsockname()
                    assert address(reply.attributes[RESPONSE_ORIGIN]) == origin
                    assert address(reply.attributes[OTHER_ADDRESS]) == far
    with Client(w.visitor, RELAY, 443) as c:  # elsewhere it is not offered
        assert OTHER_ADDRESS not in c.ask().attributes
        assert c.ask(message(attributes=attribute(CHANGE_REQUEST, b"\0\0\0\6"))).code == 420
    assert "stun_udp_unsent" not in relay.status()


NATS = {
    "full-cone": ("Endpoint Independent Mapping", "Endpoint Independent Filtering"),
    "address-restricted": ("Endpoint Independent Mapping", "Address Dependent Filtering"),
    "port-restricted": ("Endpoint Independent Mapping", "Address and Port Dependent Filtering"),
    "symmetric": ("Address and Port Dependent Mapping", "Address and Port Dependent Filtering"),
}


@limit(180)
def test_stun_nat_types(lab):
    """coturn's turnutils_natdiscovery tells all four types of NAT apart by asking our relay."""
    w, _ = one_host(lab, BEHAVIOUR)
    clients = {}
    for n, nat in enumerate(NATS):
        _, clients[nat] = lab.home(f"n{n}", f"45.0.0.{20 + n}", f"192.168.{20 + n}", [f"cli{n}"], nat)
    runs = {(nat, flag): host.start(["timeout", "60", "turnutils_natdiscovery", flag, RELAY],
                                    f"natdiscovery-{nat}{flag}")
            for nat, host in clients.items() for flag in ("-m", "-f")}
    for (nat, flag), process in runs.items():
        wait_until(f"{process.name} ends", lambda p=process: not p.alive(), 70)
        expected = NATS[nat]["-m" != flag]
        said = process.log()
        assert re.search(rf"NAT with {expected}", said), (nat, said)


# ---- while it runs ------------------------------------------------------------------------------

def test_stun_draining(lab):
    """A draining relay sends clients elsewhere, where it knows of one; then it does not any more."""
    w, _ = one_host(lab, "  listen: ['[::]:3478']\n  alternate: ['45.0.0.77:3478']")
    boss = console(w)
    with Client(w.visitor, RELAY, 443) as c, Client(w.visitor, RELAY6, 3478) as six, \
            w.visitor.connect(RELAY, 443) as s:
        c.told()
        boss.run("relay", "drain")
        reply = wait_until("the worker knows", lambda: (lambda r: r.kind == 0x0111 and r)(c.ask()))
        assert reply.code == 300
        assert address(reply.attributes[ALTERNATE_SERVER]) == ("45.0.0.77", 3478)
        request = message()
        s.sendall(request)
        assert read_stream(s, request).code == 300
        six.told()  # no alternate for IPv6
        boss.run("relay", "undrain")
        wait_until("it serves again", lambda: c.ask().kind == 0x0101)


def applied(boss, stun):
    if "enabled" not in stun:
        stun = "  enabled: true\n" + stun
    boss.run("relay", "config", "apply",
             boss.edited(lambda text: with_block(text, "stun", stun)))


def answers(w, server, port):
    with Client(w.visitor, server, port) as c:
        c.sock.settimeout(0.5)
        try:
            return c.ask().mapped == c.own()
        except (ConnectionRefusedError, TimeoutError):
            return False


def test_stun_apply(lab):
    """Listeners for STUN come and go, and limits change, while the relay runs."""
    w, relay = one_host(lab)
    boss = console(w)
    with Client(w.visitor, RELAY, 3478) as c:
        refused(c)
    applied(boss, "  listen: ['0.0.0.0:3478', '[::]:3478']")
    for server in (RELAY, OTHER, RELAY6):
        wait_until(f"{server} answers", lambda a=server: answers(w, a, 3478))
    with w.visitor.connect(RELAY, 3478) as s:
        request = message()
        s.sendall(request)
        assert read_stream(s, request).mapped == s.getsockname()
    assert counts(boss)["listen_tcp"] == ["0.0.0.0:3478", "[::]:3478"]
    assert answers(w, RELAY, 443)
    applied(boss, BEHAVIOUR)  # one of its ports was served, by a wildcard
    wait_until("four sockets", lambda: answers(w, OTHER, 3479) and not answers(w, RELAY6, 3478))
    with Client(w.visitor, RELAY, 3478) as c:
        assert address(c.ask().attributes[OTHER_ADDRESS]) == (OTHER, 3479)
    applied(boss, "  rate: 1\n  burst: 1")
    wait_until("the port is closed", lambda: not answers(w, OTHER, 3479))
    with Client(w.visitor, RELAY, 443) as c:
        for _ in range(20):
            c.sock.send(message())
    wait_until("limited", lambda: counts(boss)["udp"]["limited"] > 0)
    applied(boss, "  enabled: false")  # the socket stays for links
    wait_until("443/UDP is silent", lambda: not answers(w, RELAY, 443))
    with Client(w.visitor, RELAY, 443) as c:
        silent(c, message())
    applied(boss, "  enabled: false\n  links: false")
    wait_until("443/UDP is closed", lambda: not answers(w, RELAY, 443))
    with Client(w.visitor, RELAY, 443) as c:
        refused(c)
    with w.visitor.connect(RELAY, 443) as s:
        s.sendall(message())
        assert ends(s, 5)
    applied(boss, "")
    wait_until("443 answers again", lambda: answers(w, RELAY, 443))
    text = boss.run("relay", "status").stdout
    assert re.search(r"udp\.answered +\d", text) and "0.0.0.0:443" in text, text


@limit(90)
def test_stun_port_taken(lab):
    """Another server's UDP port: an error where STUN is asked for, at start and in a change; by
    default the relay goes without, says so once, and has the port when it is free."""
    w = World(lab).one_host()
    with w.relay_host.inside():
        taken = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with taken:
        taken.bind(("0.0.0.0", 443))
        config = w.issue_relay(blocks={"stun": "  enabled: true"})
        for block, remedy in (("  enabled: true", "or set stun.enabled: false"),
                              ("  links: true", "or set stun.links: false")):
            set_blocks(config, {"stun": block})
            process = w.relay_host.start([f"{lab.build}/postern-relayd", "-c", config], "relay")
            assert process.wait(10) == 1
            said = process.log()
            assert "listen[0].address" in said and "443 (UDP)" in said and remedy in said, said
        set_blocks(config, {"stun": "  enabled: false"})
        relay = w.start_relay(config)
        boss = console(w)
        assert relay.log().count("443 (UDP): Address already in use") == 1
        assert "going without, and trying again" in relay.log()
        assert "udp=links" not in relay.log() and counts(boss)["listen_udp"] == []
        said = boss.refused("relay", "config", "apply",
                            boss.edited(lambda text: with_block(text, "stun", "  enabled: true")))
        assert "443 (UDP)" in said and "in use" in said, said
    wait_until("the relay has the port", lambda: counts(boss)["listen_udp"] == ["0.0.0.0:443"], 40)
    assert "udp=links" in relay.log()
    with Client(w.visitor, RELAY, 443) as c:
        silent(c, message())
    applied(boss, "")
    wait_until("it answers", lambda: answers(w, RELAY, 443))
    assert relay.process.alive()


@once
def test_stun_metrics(lab):
    w = World(lab).one_host()
    w.relay(blocks={"metrics": "  listen: 127.0.0.1:9100", "stun": "  enabled: true"})
    with Client(w.visitor, RELAY, 443) as c:
        c.told()
    with w.relay_host.connect("127.0.0.1", 9100) as s:
        s.sendall(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n")
        page = receive_all(s).decode()
    assert 'postern_stun_total{over="udp",result="answered"} 1\n' in page, page
    assert page.count("postern_stun_total{") == 20
