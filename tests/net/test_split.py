# SPDX-License-Identifier: Apache-2.0
"""A ClientHello arrives as the network likes: many segments, many records, larger than a packet."""
import ssl
import struct
from concurrent.futures import ThreadPoolExecutor

import hello
from peers import WebCa, nginx, tls_context
from rogue import BYE, PING, PROTOCOL, Tls, frame
from runner import limit
from tag import tag
from world import World

WORKERS = 24
DESTINATIONS = ("www.example.org", "relay.example.org")


class Bench:
    """A relay with a page of its own and a published name, and a client to try them."""

    def __init__(self, lab):
        w = self.w = World(lab).two_homes()
        web_ca = WebCa(lab)
        self.trust = {"www.example.org": web_ca.certificate, "relay.example.org": w.ca}
        chain, key = web_ca.issue("www.example.org")
        nginx(w.home, port=8443, tls=(chain, key))
        self.contexts = {}
        # Hundreds from one address, as fast as they can.
        self.relay = w.relay(public={"www.example.org": "home/web"},
                             blocks={"limits": "  handshakes_per_source: 0\n"})
        w.agent(w.home, "home", publish={"web": "127.0.0.1:8443"}, public=["web"])

    def client(self, name, size=0):
        if (name, size) not in self.contexts:
            context = tls_context(self.trust[name])
            self.contexts[name, size] = hello.large_context(context, size) if size else context
        return hello.Client(self.contexts[name, size], name)

    def reach(self, name, client, pieces, pause=0.002):
        """None when the right server answered; else what went wrong."""
        try:
            with self.w.visitor.connect("45.0.0.2", 443, timeout=15) as sock:
                hello.send_pieces(sock, pieces, pause)
                names = [v for _k, v in client.finish(sock)["subjectAltName"]]
                assert name in names, f"certificate of {names}"
                reply = client.get(sock, name)
                assert reply.startswith(b"HTTP/1.1 200"), reply[:60]
        except (OSError, AssertionError) as e:
            return f"{type(e).__name__}: {e}"
        return None

    def reach_all(self, attempts):
        """attempts: [(label, name, size, pieces of the flight as a function of the client)]."""
        def one(attempt):
            label, name, size, cut = attempt
            client = self.client(name, size)
            wrong = self.reach(name, client, cut(client))
            return wrong and f"{name} {label}: {wrong}"

        with ThreadPoolExecutor(WORKERS) as pool:
            wrong = [x for x in pool.map(one, attempts) if x]
        assert not wrong, f"{len(wrong)} of {len(attempts)} failed: " + "; ".join(wrong[:4])
        self.relay.wait_idle()


def two_segments(at):
    return lambda client: (client.flight[:at], client.flight[at:])


@limit(120)
def test_split_every_boundary(lab):
    bench = Bench(lab)
    length = len(bench.client("www.example.org").flight)
    assert length > 200
    bench.reach_all([(f"cut at {at}", name, 0, two_segments(at))
                     for name in DESTINATIONS for at in range(1, length)])


def test_split_byte_by_byte(lab):
    bench = Bench(lab)
    bench.reach_all([("byte by byte", name, size,
                      lambda c: [c.flight[n:n + 1] for n in range(len(c.flight))])
                     for name in DESTINATIONS for size in (0, 1700)])


def one_record_per(step):
    return lambda c: (hello.records(c.message(), range(step, len(c.message()), step)),)


def cut_at(*cuts):
    return lambda c: (hello.records(c.message(), cuts),)


def test_split_records(lab):
    """Several records in one segment, the handshake header itself cut, and a byte per record."""
    bench = Bench(lab)
    length = len(bench.client("www.example.org").message())
    attempts = []
    for name in DESTINATIONS:
        attempts += [(f"records cut at {at}", name, 0, cut_at(at))
                     for at in [1, 2, 3, 4, 5, *range(6, length, 17), length - 1]]
        attempts += [(f"header in {n} records", name, 0, cut_at(*range(1, n)))
                     for n in (2, 3, 4, 5, 6)]
        attempts += [(f"{step} bytes a record", name, 0, one_record_per(step))
                     for step in (7, 50, 100)]
    bench.reach_all(attempts)


@limit(120)
def test_split_large(lab):
    """A hello larger than one packet, as post-quantum key shares make it: segments and records."""
    bench = Bench(lab)
    flight = bench.client("www.example.org", 1700).flight
    assert 1500 < len(flight) < 2500, len(flight)
    attempts = []
    for name in DESTINATIONS:
        attempts += [(f"large cut at {at}", name, 1700, two_segments(at))
                     for at in [1, 5, 9, 1460, *range(11, len(flight), 29), len(flight) - 1]]
        attempts += [(f"large, {step} bytes a record", name, 1700, one_record_per(step))
                     for step in (100, 500, 1000)]
        attempts += [("12 KB", name, 12000, lambda c: (c.flight,))]

        # Every record in segments of its own that end elsewhere than the records do.
        def both(client):
            wire = hello.records(client.message(), range(300, len(client.message()), 300))
            return [wire[n:n + 211] for n in range(0, len(wire), 211)]
        attempts += [("records and segments", name, 1700, both)]
    bench.reach_all(attempts)


def test_split_first_frame(lab):
    """The first message in several records that arrive together: it is read without more to come.
    The tag stands in the first one whole."""
    w = World(lab).two_homes()
    w.relay()
    bundle = w.issue_agent("laptop")
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    first = frame(PING, bytes(8))  # no HELLO and no LEG: refused as soon as it is known
    for cuts in ((1,), (3,), (1, 2, 3, 4, 5)):
        context.keylog_filename = secrets = lab.write(f"secrets{len(cuts)}{cuts[0]}", "")
        with w.visitor.connect("45.0.0.2", 443, timeout=5) as sock:
            tls = Tls(sock, context, False)
            made = tag(bundle, secrets)
            for begin, end in zip((0, *cuts), (*cuts, len(first))):
                tls.tls.write(made + first[begin:end])
                made = b""
            sock.sendall(tls.outgoing.read())
            kind, body = tls.hear()
            assert (kind, struct.unpack("!H", body[:2])[0]) == (BYE, PROTOCOL), (cuts, kind, body)
