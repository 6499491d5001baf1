# SPDX-License-Identifier: Apache-2.0
"""The main job: a file from one home to another, neither of which can be dialled."""
from peers import MIB, data, nginx, receive_all, sha256
from world import World

SIZE = 32 * MIB


def fetch_file(lab, nat_a, nat_b, ipv6=False):
    w = World(lab).two_homes(nat_a, nat_b)
    if ipv6:
        w.with_ipv6()
    content = data(SIZE)
    nginx(w.home, port=8080, files={"file.bin": content})
    relay, *_ = w.pair(8080, "files")
    # Neither home accepts anything from outside: that is why there is a relay.
    for address in ("45.0.0.10", "45.0.0.20"):
        try:
            w.visitor.connect(address, 8080, timeout=0.3).close()
            raise AssertionError(f"{address} can be dialled: the topology proves nothing")
        except OSError:
            pass
    out = lab.path("got.bin")
    w.laptop.run(["curl", "-sSf", "-m", "30", "-o", out, "http://127.0.0.1:8080/file.bin"],
                 timeout=40)
    with open(out, "rb") as f:
        got = f.read()
    assert sha256(got) == sha256(content), f"{len(got)} bytes arrived, not the same"
    relay.wait_idle()
    status = relay.status()
    assert status["sessions_total"] >= 1 and status["links"] == 2, status
    assert status["bytes_total"] >= SIZE, status


def test_homes_port_restricted(lab):
    fetch_file(lab, "port-restricted", "port-restricted")


def test_homes_symmetric(lab):
    fetch_file(lab, "symmetric", "symmetric")


def test_homes_mixed(lab):
    fetch_file(lab, "address-restricted", "symmetric")


def test_homes_full_cone(lab):
    fetch_file(lab, "full-cone", "port-restricted")


def test_homes_ipv6(lab):
    """The same when both reach the relay by IPv6 alone, which has no other address by that name."""
    fetch_file(lab, "port-restricted", "port-restricted", ipv6=True)
    for name, address in (("home", "2a00:45:11::2"), ("laptop", "2a00:45:10::2")):
        log = next(p for p in lab.processes if p.name == f"agent-{name}").log()
        assert f"sees us at [{address}]" in log, log


def test_upload(lab):
    """The other direction, to a service on another machine of the far LAN."""
    w = World(lab).two_homes()
    nas = lab.host("nas")
    lab.wire(nas, "eth0", "192.168.20.9/24", w.router_b, "lan0")
    content, got = data(SIZE, seed=2), []

    def sink(sock, _peer):
        got.append(sha256(receive_all(sock)))
        sock.sendall(got[0].encode())

    nas.serve(9000, sink)
    w.pair(9000, "store", target="192.168.20.9:9000")
    with w.laptop.connect("127.0.0.1", 9000, timeout=30) as s:
        s.sendall(content)
        s.shutdown(1)
        assert s.recv(100).decode() == sha256(content)
