# SPDX-License-Identifier: Apache-2.0
"""Whom natd asks: the gateway, another one, the provider's NAT; and where there is nobody to ask."""
from fakes import FakeGateway
from natd import LAN, WAN, Natd, home_behind, lan
from netlab import wait_until
from test_nat_command import told
from test_natd_ways import judged

ANYCAST = "192.0.0.9"  # RFC 7723


def advice(natd):
    return natd.call("status")["external"].get("advice", "")


def pcp_of(natd):
    return next(p for p in natd.call("status")["protocols"]
                if (p["protocol"], p["family"]) == ("PCP", "ipv4"))


def test_natd_asks_the_providers_nat(lab):
    """No PCP at the default route's address, and no NAT before the provider's: that maps."""
    router, _server, host = lan(lab)
    router.ip("addr", "add", f"{ANYCAST}/32", "dev", "lo")
    fake = FakeGateway(lab, router, ANYCAST, pcp=True, control={"listen": ANYCAST})
    natd = Natd(host, "--map", "tcp:443")
    natd.wait_mapped("tcp:443", timeout=20)
    assert natd.mapping()["external"] == f"{WAN}:443"
    assert pcp_of(natd)["gateway"] == f"{ANYCAST}:5351"
    assert "provider" in pcp_of(natd)["about"]
    natd.stop()
    assert not fake.mappings


def test_natd_tells_that_the_providers_nat_is_behind_the_router(lab):
    """It answers, and sees the router: what the router maps stays, and two NATs are told."""
    gateway, host, _server = home_behind(lab, "100.64.7.7", "100.64.7", natpmp=False)
    outer = lab.hosts["rtr-isp"]
    outer.ip("addr", "add", f"{ANYCAST}/32", "dev", "lo")
    fake = FakeGateway(lab, outer, ANYCAST, pcp=True, control={"listen": ANYCAST})
    natd = Natd(host, "--map", "tcp:443")
    wait_until("two NATs are told", lambda: "two NATs" in pcp_of(natd).get("why", ""), 30)
    asked = len(fake.asked("pcp", "mismatch"))
    assert asked == 1
    natd.call("probe")
    natd.call("renew")
    assert pcp_of(natd)["state"] == "unavailable" and "two NATs" in pcp_of(natd)["why"]
    assert natd.call("status")["external"]["verdict"] == "cgnat"
    assert len(fake.asked("pcp", "mismatch")) == asked and not fake.mappings
    assert gateway.process.alive()


def test_natd_asks_the_gateway_of_its_file(lab):
    """Of two routers the one that is named, by any protocol, and its word only."""
    router, _server, host = lan(lab)
    other = lab.host("other")
    lab.wire(other, "eth0", f"{LAN}.254/24", router, "lan0")
    unasked = FakeGateway(lab, router, f"{LAN}.1", pcp=True)
    fake = FakeGateway(lab, other, f"{LAN}.254", pcp=True)
    file = f"gateway: {LAN}.254\n"
    natd = Natd(host, "--map", "tcp:443", file=file)
    natd.wait_mapped("tcp:443")
    assert natd.call("status")["network"]["gateway"] == f"{LAN}.254"
    assert list(fake.mappings) == [("tcp", 443)] and not unasked.seen
    # Without a default route it maps, but what comes in is answered nowhere; and with one again.
    host.ip("route", "del", "default")
    said = judged(natd, "offline")
    assert "cannot be answered" in said["sentence"] and f"by {LAN}.254" in said["advice"], said
    host.ip("route", "add", "default", "via", f"{LAN}.1")
    wait_until("there is a way out again",
               lambda: natd.call("status")["external"]["verdict"] != "offline")
    natd.reload("recheck: 1m\n")
    wait_until("the default route's is asked", lambda: ("tcp", 443) in unasked.mappings)
    wait_until("the other one has nothing left", lambda: not fake.mappings)


def test_natd_in_a_containers_network(lab):
    """Whose gateway is the host, which answers nothing."""
    _router, _server, host = lan(lab)
    natd = Natd(host, "--map", "tcp:443", container="podman")
    natd.process.wait_for_line("warning portmap: no gateway answers: .*--network host", timeout=40)
    assert "--network host" in advice(natd)
    # Without a natd the command says so, too.
    found = told(host, "probe", code=4, env={"container": "podman"})
    assert "--network host" in found["external"]["advice"], found
    found = told(host, "probe", code=4, env={"container": ""})
    assert "--network host" not in found["external"].get("advice", ""), found
    # The same network without a container around it is a home's.
    natd.stop()
    outside = Natd(host, "--map", "tcp:444", name="outside")
    outside.wait_state("unsupported", port=444, timeout=40)
    assert "--network host" not in advice(outside)
