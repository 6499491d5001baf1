# SPDX-License-Identifier: Apache-2.0
"""postern-natd at a home's gateway: the whole path, once through each protocol."""
import signal
import socket
import time

from gateway import Gateway
from natd import WAN, Natd
from netlab import wait_until
from peers import echo
from runner import once
from test_stun_client import OTHER, SERVER, coturn


def home(lab, wan="45.0.0.10", **options):
    lab.internet()
    server = lab.public("server", "45.0.0.2")
    router, host = lab.home("alice", wan, "192.168.77", ["host"])
    if wan.startswith("10."):
        server.ip("addr", "add", "10.99.0.1/24", "dev", "eth0")
    router.ip("route", "add", "default", "via", "10.99.0.1" if wan.startswith("10.") else SERVER)
    return Gateway(lab, router, "192.168.77", **options).start(), host, server


def test_natd_maps_by_pcp_and_leaves_nothing(lab):
    gateway, host, server = home(lab)
    host.serve(443, echo)
    natd = Natd(host, "--map", "tcp:443", "--map", "udp:443:8443")
    m = natd.wait_state("mapped")
    assert m["by"] == "PCP" and m["external"] == "45.0.0.10:443", m
    natd.wait_state("mapped", protocol="udp")
    assert gateway.mappings() == {("tcp", 443): "192.168.77.2:443",
                                  ("udp", 8443): "192.168.77.2:443"}
    status = natd.call("status")
    assert status["external"]["gateway"] == "45.0.0.10", status
    assert natd.mapping(family="ipv6")["state"] == "unsupported", status
    with server.connect("45.0.0.10", 443) as s:
        s.sendall(b"hello")
        assert s.recv(5) == b"hello"
        m = natd.wait_state("verified")
        assert "45.0.0.2" in m["proof"], m
    natd.process.signal(signal.SIGTERM)
    assert natd.process.wait() == 0
    assert gateway.mappings() == {}


def test_natd_maps_by_upnp_alone(lab):
    gateway, host, _server = home(lab, natpmp=False)
    start = time.monotonic()
    natd = Natd(host, "--map", "tcp:8080")
    m = natd.wait_state("mapped", port=8080)
    assert m["by"] == "UPnP" and time.monotonic() - start < 5, m
    assert gateway.mappings() == {("tcp", 8080): "192.168.77.2:8080"}
    natd.process.signal(signal.SIGTERM)
    assert natd.process.wait() == 0
    assert gateway.mappings() == {}


def test_natd_maps_again_after_a_reboot(lab):
    gateway, host, _server = home(lab)
    natd = Natd(host, "--map", "tcp:443")
    natd.wait_state("mapped")
    gateway.reboot()
    wait_until("the mapping is back",
               lambda: gateway.mappings() == {("tcp", 443): "192.168.77.2:443"})
    natd.wait_state("mapped")


def test_natd_tells_of_changes_and_runs_the_hook(lab):
    _gateway, host, _server = home(lab)
    hook = lab.write("hook", '#!/bin/sh\necho "$1 $2" >>"%s"\n' % lab.path("hooked"))
    host.run(["chmod", "755", hook])
    natd = Natd(host, "--map", "tcp:443", "--hook", hook)
    natd.wait_state("mapped")

    def hooked():
        try:
            with open(lab.path("hooked"), encoding="ascii") as f:
                return f.read()
        except FileNotFoundError:
            return None

    assert wait_until("the hook has run", hooked) == "45.0.0.10 -\n"
    kinds = set()
    for event in natd.follow():
        kinds.add(event["kind"])
        if {"mapping", "external", "network", "protocol", "verdict"} <= kinds:
            break


def test_natd_slips_on_the_command_line(lab):
    """Wrong words have the status of wrong words; a hook that is not there is told at once."""
    _gateway, host, _server = home(lab)
    natd = [f"{lab.build}/postern-natd", "--socket", lab.path("natd.sock")]
    done = host.run([*natd, "--map", "tcp443"], check=False)
    assert done.returncode == 2 and "is no mapping; write it like tcp:443" in done.stderr, done
    process = host.start([*natd, "--map", "tcp:443", "--hook", lab.path("nothing")], "natd")
    process.wait_for_line(r"warning hook: .*nothing cannot be run: No such file or directory", 10)


def test_natd_follows_another_network(lab):
    gateway, host, _server = home(lab)
    natd = Natd(host, "--map", "tcp:443")
    natd.wait_state("mapped")
    host.ip("route", "del", "default")
    natd.wait_state("requested")
    wait_until("the old gateway was told", lambda: gateway.mappings() == {})
    assert natd.call("status")["network"]["up"] is False
    host.ip("route", "add", "default", "via", "192.168.77.1")
    natd.wait_state("mapped")


def test_natd_proves_a_udp_mapping(lab):
    _gateway, host, server = home(lab)
    coturn(lab, server, SERVER, OTHER)
    natd = Natd(host, "--map", "udp:5000", "--stun", f"{SERVER}:3478")
    m = natd.wait_state("verified", protocol="udp", port=5000)
    assert OTHER in m["proof"], m
    external = natd.call("status")["external"]
    assert (external["stun"], external["verdict"]) == ("45.0.0.10", "one_nat"), external
    with host.inside():  # the port was given back
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.bind(("192.168.77.2", 5000))


def test_natd_does_not_call_proven_what_is_not(lab):
    gateway, host, server = home(lab)
    coturn(lab, server, SERVER)  # one address: no RFC 5780
    with host.inside():
        taken = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    taken.bind(("0.0.0.0", 5001))
    natd = Natd(host, "--map", "udp:5000", "--map", "udp:5001", "--map", "tcp:5002",
                "--stun", f"{SERVER}:3478")
    for protocol, port, why in (("udp", 5000, "two addresses"), ("udp", 5001, "a program has"),
                                ("tcp", 5002, "no program listens")):
        m = wait_until(f"the reason for {port}", lambda p=protocol, n=port: (
            x if (x := natd.mapping(p, n)).get("unproven") else None))
        assert m["state"] == "mapped" and why in m["unproven"], m
    # A listener that only this LAN has come to proves nothing.
    host.serve(5002, echo)
    with gateway.router.connect("192.168.77.2", 5002) as s:
        s.sendall(b"x")
        m = wait_until("a look at the connection", lambda: (
            x if "nothing has come in" in (x := natd.mapping("tcp", 5002))["unproven"] else None))
        assert m["state"] == "mapped", m
    taken.close()


@once
def test_natd_does_not_believe_old_connections(lab):
    """What was connected before a mapping came to be did not come in by it."""
    gateway, host, server = home(lab)
    host.serve(5002, echo)
    natd = Natd(host, "--map", "tcp:5002")
    natd.wait_state("mapped", port=5002)
    with server.connect(WAN, 5002) as s:
        natd.wait_state("verified", port=5002)
        gateway.reboot()
        m = wait_until("a look after the restart", lambda: (
            x if "nothing has come in" in (x := natd.mapping("tcp", 5002)).get("unproven", "")
            else None))
        assert m["state"] == "mapped", m
        s.sendall(b"x")  # the router's own memory of connections carries it on
        assert s.recv(1) == b"x"
        time.sleep(2.5)  # another look
        assert natd.mapping("tcp", 5002)["state"] == "mapped"
        with server.connect(WAN, 5002):
            natd.wait_state("verified", port=5002)


def test_natd_tells_double_nat(lab):
    _gateway, host, server = home(lab, wan="10.99.0.10")
    coturn(lab, server, SERVER)
    natd = Natd(host, "--map", "tcp:443", "--stun", f"{SERVER}:3478")
    m = natd.wait_state("refused")
    external = wait_until("a verdict", lambda: (
        x if (x := natd.call("status")["external"])["verdict"] != "unknown" else None))
    assert external["verdict"] == "double_nat" and "bridge mode" in external["advice"], external
    assert m["why"], m


def test_natd_reads_its_file_again(lab):
    gateway, host, _server = home(lab)
    path = lab.write("natd.yaml", "map:\n- {protocol: tcp, port: 443}\n"
                                  "- {protocol: udp, port: 5000-5002, ipv6: false}\n")
    natd = Natd(host, "-c", path)
    natd.wait_state("mapped")
    natd.wait_state("mapped", protocol="udp", port=5002)
    before = natd.mapping()["id"]
    lab.write("natd.yaml", "map:\n- {protocol: tcp, port: 443}\n"
                           "- {protocol: udp, port: 5001, external: 6001, ipv6: false}\n")
    natd.process.signal(signal.SIGHUP)
    wait_until("the new set", lambda: gateway.mappings() == {
        ("tcp", 443): "192.168.77.2:443", ("udp", 6001): "192.168.77.2:5001"})
    assert natd.mapping()["id"] == before
    assert natd.call("status")["counts"]["deletions"] == 3
    lab.write("natd.yaml", "map:\n- {protocol: tpc, port: 443}\n")
    natd.process.signal(signal.SIGHUP)
    natd.process.wait_for_line(r"error config: .*natd.yaml:2:14: map\[0\].protocol")
    assert natd.mapping()["state"] == "mapped"


def test_natd_opens_pinholes(lab):
    gateway, host, server = home(lab, ipv6=True)
    for machine, dev, address in ((gateway.router, "lan0", "2001:db8:77::1/64"),
                                  (gateway.router, "wan0", "2001:db8:1::10/64"),
                                  (host, "eth0", "2001:db8:77::2/64"),
                                  (server, "eth0", "2001:db8:1::2/64")):
        machine.ip("addr", "add", address, "dev", dev, "nodad")
    host.ip("route", "add", "default", "via", "2001:db8:77::1")
    server.ip("route", "add", "default", "via", "2001:db8:1::10")
    with gateway.router.inside():
        with open("/proc/sys/net/ipv6/conf/all/forwarding", "w", encoding="ascii") as f:
            f.write("1")
    gateway.reboot()
    with host.inside():
        listener = socket.create_server(("::", 443), family=socket.AF_INET6)
    natd = Natd(host, "--map", "tcp:443")
    m = natd.wait_state("mapped", family="ipv6", timeout=20)
    assert m["external"] == "[2001:db8:77::2]:443", m
    with server.inside():
        client = socket.create_connection(("2001:db8:77::2", 443), 10)
    with client, listener, listener.accept()[0]:
        natd.wait_state("verified", family="ipv6")


def test_natd_keeps_ipv4_when_only_ipv6_changes(lab):
    gateway, host, _server = home(lab)
    natd = Natd(host, "--map", "tcp:443")
    natd.wait_state("mapped")
    before = natd.mapping()["id"], natd.call("status")["counts"]
    for machine, dev, address in ((gateway.router, "lan0", "2001:db8:77::1/64"),
                                  (host, "eth0", "2001:db8:77::2/64")):
        machine.ip("addr", "add", address, "dev", dev, "nodad")
    host.ip("route", "add", "default", "via", "2001:db8:77::1")
    wait_until("the network with IPv6",
               lambda: natd.call("status")["network"].get("gateway6") == "2001:db8:77::1")
    wait_until("it is held anew", lambda: natd.mapping().get("by") == "PCP")
    after = natd.mapping()["id"], natd.call("status")["counts"]
    assert before[0] == after[0] and after[1]["deletions"] == 0, (before, after)
    changes = [e for e in natd.call("events")["events"]
               if e["kind"] == "mapping" and e["family"] == "ipv4"]
    assert [e["state"] for e in changes] == ["mapped"], changes
