# SPDX-License-Identifier: Apache-2.0
"""natd mends by itself what gateways and networks do: reboots, lost mappings, other ways out."""
import re
import signal
import time

from fakes import FakeGateway
from gateway import Gateway
from natd import LAN, Natd, SERVER, WAN, answer, forward, home, lan, reaches, visit
from netlab import wait_until
from runner import limit, once
from test_stun_client import OTHER, coturn

INSIDE = f"{LAN}.2"
OTHER_WAN = "45.0.0.20"
# Two ports, since miniupnpd 2.3.1 mistakes one's firewall rule for the other's when it renews both.
TABLE = {("tcp", 443): f"{INSIDE}:443", ("udp", 8443): f"{INSIDE}:8443"}
MAPS = ("--map", "tcp:443", "--map", "udp:8443")
SHORT = ["min_lifetime=2", "max_lifetime=10"]  # seconds; renewed after five


def start(host, *arguments, **options):
    answer(host, 443, 8443)
    natd = Natd(host, *MAPS, *arguments, **options)
    natd.wait_mapped("tcp:443", "udp:8443")
    natd.process.remember()
    return natd


def healed(natd, gateway, server, address=WAN, timeout=10.0):
    """Both mappings are back, natd knows, and they carry data."""
    wait_until("the mappings are back", lambda: gateway.mappings() == TABLE, timeout)
    natd.wait_mapped("tcp:443", "udp:8443")
    visit(server, "tcp", 443, address)
    visit(server, "udp", 8443, address)


def told_once(natd, pattern):
    """What happened is in the log, in one line."""
    lines = [x for x in natd.process.log()[natd.process.mark:].splitlines()
             if re.match(r"\S+ (notice|warning) ", x) and re.search(pattern, x)]
    assert len(lines) == 1, lines
    return lines[0]


# ---- reboots --------------------------------------------------------------------------------------

def test_natd_heals_after_a_reboot(lab):
    gateway, host, server = home(lab)
    natd = start(host)
    gateway.reboot()
    healed(natd, gateway, server)
    told_once(natd, "the gateway restarted:")
    natd.process.remember()
    time.sleep(2.5)  # less, and its age does not tell it from what went on (RFC 6887 section 8.5)
    gateway.power_off()
    assert not reaches(server, "tcp", 443, timeout=0.2)
    time.sleep(1)
    gateway.power_on(http_port=5555)
    healed(natd, gateway, server)


def test_natd_heals_after_a_reboot_of_upnp(lab):
    """Nothing but SSDP tells of it, and the description moves to another port."""
    gateway, host, server = home(lab, natpmp=False, http_port=5000)
    natd = start(host)
    gateway.reboot(http_port=6000)
    healed(natd, gateway, server)
    assert "at another place" in told_once(natd, "the gateway restarted:")
    time.sleep(1.1)  # its BOOTID is the time in seconds
    natd.process.remember()
    gateway.reboot()
    healed(natd, gateway, server)
    told_once(natd, "the gateway restarted:")


@once
def test_natd_heals_an_unannounced_reboot(lab):
    """No announcement arrives: the next renewal tells."""
    gateway, host, server = home(lab, more=SHORT)
    natd = start(host)
    host.nft("table inet deaf {\n chain in {\n  type filter hook input priority 0;\n"
             "  udp dport { 1900, 5350 } drop\n }\n}\n")
    time.sleep(3)
    gateway.reboot()
    healed(natd, gateway, server, timeout=15)
    told_once(natd, "the gateway restarted:")


# ---- mappings and addresses -----------------------------------------------------------------------

@once
def test_natd_heals_mappings_dropped_silently(lab):
    gateway, host, server = home(lab, more=SHORT)
    natd = start(host)
    gateway.drop_mappings()
    assert not reaches(server, "tcp", 443, timeout=0.2)
    healed(natd, gateway, server, timeout=15)


@limit(180)
def test_natd_heals_mappings_dropped_behind_upnp(lab):
    """Leases of hours, and a daemon that shows entries of which the kernel has nothing any more: what
    is proved for UDP tells, and all that was mapped in the same way is deleted and made anew."""
    gateway, host, server = home(lab, natpmp=False)
    coturn(lab, server, SERVER, OTHER)
    answer(host, 443)
    natd = Natd(host, *MAPS, "--stun", f"{SERVER}:3478", file="recheck: 10s\nlifetime: 2h\n")
    natd.wait_state("verified", 20, protocol="udp", port=8443)
    visit(server, "tcp", 443)
    natd.wait_state("verified", 5)
    natd.process.remember()
    gateway.drop_mappings()
    gateway.flush_connections()
    assert not reaches(server, "tcp", 443, timeout=0.2)
    wait_until("the mappings are back", lambda: gateway.mappings() == TABLE, 100)
    visit(server, "tcp", 443)
    told_once(natd, r"udp 8443: verified -> requested: it is deleted and asked for anew")
    told_once(natd, r"tcp 443: verified -> (requested|mapped): (it is deleted and|the gateway dropp)")
    natd.wait_state("verified", 10)
    natd.wait_state("verified", 20, protocol="udp", port=8443)


def dead(lab, **speaks):
    """What a fake gateway maps is forwarded by a rule of the router's, until that is gone: the
    gateway's table and its renewals go on to say that all is there."""
    router, server, host = lan(lab)
    coturn(lab, server, SERVER, OTHER)
    rule = f'iifname "wan0" udp dport 5000 dnat ip to {INSIDE}:5000\n'
    router.nft("add rule inet filter prerouting " + rule)
    fake = FakeGateway(lab, router, f"{LAN}.1", **speaks)
    natd = Natd(host, "--map", "udp:5000", "--stun", f"{SERVER}:3478", file="recheck: 10s\n")
    m = natd.wait_state("verified", 20, protocol="udp", port=5000)
    assert OTHER in m["proof"] and m["proven_s"] < 15, m
    router.nft("flush chain inet filter prerouting\n")
    natd.process.remember()
    fake.seen.clear()
    m = wait_until("it is unproven", lambda: (
        x if (x := natd.mapping("udp", 5000)).get("unproven_s") is not None and
        x["state"] == "mapped" and x.get("unproven") else None), 100)
    assert "did not arrive" in m["unproven"], m
    told_once(natd, "udp 5000: verified -> requested: it is deleted and asked for anew")
    page = host.run([f"{lab.build}/postern", "nat", "status", "--socket", natd.socket]).stdout
    assert re.search(r"^ +unproven since \d\d:\d\d: ", page, re.MULTILINE), page
    router.nft("add rule inet filter prerouting " + rule)
    return fake, natd


@limit(180)
def test_natd_makes_a_dead_mapping_anew(lab):
    """By NAT-PMP, whose renewals say yes for ever."""
    fake, natd = dead(lab, natpmp=True, control={"lifetime": 120})
    leases = [x["lease"] for x in fake.asked("natpmp", "map")]
    assert leases.count(0) == 1 and leases[leases.index(0) + 1] > 0, leases
    m = natd.wait_state("verified", 90, protocol="udp", port=5000)
    assert "unproven_s" not in m, m


@limit(180)
@once
def test_natd_makes_a_dead_mapping_anew_behind_upnp(lab):
    """A lease for good, which the gateway shows all the time: no more is written than has to be."""
    fake, _natd = dead(lab, upnp={"only_permanent": 725})
    changes = [w for p, w, _ in fake.seen if p == "upnp" and w in (
        "AddPortMapping", "DeletePortMapping")]
    assert changes[0] == "DeletePortMapping", changes
    assert set(changes[1:]) == {"AddPortMapping"} and len(changes) <= 3, changes


@once
def test_natd_heals_after_it_stood_still(lab):
    """Stopped for longer than its lease, as in a suspended machine."""
    gateway, host, server = home(lab, more=SHORT)
    natd = start(host)
    natd.process.signal(signal.SIGSTOP)
    wait_until("the lease has ended", lambda: gateway.mappings() == {}, 25)
    natd.process.signal(signal.SIGCONT)
    healed(natd, gateway, server, timeout=3)


def another_address(lab, gateway, host, server, **options):
    """From one moment to the next, when all protocols have been there for a while."""
    hook = lab.write("hook", '#!/bin/sh\necho "$1 $2" >>"%s"\n' % lab.path("hooked"))
    host.run(["chmod", "755", hook])
    natd = start(host, "--hook", hook, **options)
    wait_until("all that is asked has answered", lambda: all(
        p["state"] != "probing" for p in natd.call("status")["protocols"]), 10)
    time.sleep(3)
    changed = time.monotonic()
    gateway.router.ip("addr", "del", f"{WAN}/24", "dev", "wan0")
    gateway.router.ip("addr", "add", f"{OTHER_WAN}/24", "dev", "wan0")
    gateway.router.ip("route", "replace", "default", "via", SERVER)
    for event in natd.follow(timeout=70):
        if event["kind"] == "external" and event["address"] == OTHER_WAN:
            break
    assert time.monotonic() - changed < 60
    told_once(natd, f"external address changed from {WAN} to {OTHER_WAN}")

    def hooked():
        with open(lab.path("hooked"), encoding="ascii") as f:
            return f.read()

    wait_until("the hook was told", lambda: hooked() == f"{WAN} -\n{OTHER_WAN} {WAN}\n")
    healed(natd, gateway, server, OTHER_WAN)
    wait_until("the mapping is there", lambda: natd.mapping()["external"] == f"{OTHER_WAN}:443")
    time.sleep(3)  # and stays there: what is older does not come back
    assert natd.mapping()["external"] == f"{OTHER_WAN}:443"
    assert natd.call("status")["external"]["gateway"] == OTHER_WAN


@once
def test_natd_tells_another_external_address(lab):
    gateway, host, server = home(lab)
    another_address(lab, gateway, host, server)


@once
def test_natd_tells_another_external_address_of_upnp(lab):
    """Nothing tells but UPnP, when it is asked."""
    gateway, host, server = home(lab, natpmp=False)
    host.nft("table inet deaf {\n chain in {\n  type filter hook input priority 0;\n"
             "  udp dport 1900 drop\n }\n}\n")
    another_address(lab, gateway, host, server)


def test_natd_runs_its_hook_after_the_file_was_read_again(lab):
    """What it was told at its start outlives the configuration that told it; under the sanitizers
    this is where a borrowed text shows."""
    gateway, host, _server = home(lab)
    hook = lab.write("hook", '#!/bin/sh\necho "$1 $2" >>"%s"\nexit 3\n' % lab.path("hooked"))
    host.run(["chmod", "755", hook])
    file = f"hook: {hook}\nrecheck: 10s\n"
    natd = start(host, file=file)
    natd.process.wait_for_line("hook: .* failed with status 3")
    natd.reload(file + "lifetime: 1h\n")
    natd.reload(file)
    natd.process.remember()
    gateway.router.ip("addr", "del", f"{WAN}/24", "dev", "wan0")
    gateway.router.ip("addr", "add", f"{OTHER_WAN}/24", "dev", "wan0")
    gateway.router.ip("route", "replace", "default", "via", SERVER)
    natd.process.wait_for_line(f"hook: running {hook} {OTHER_WAN} {WAN}", timeout=30)
    natd.process.wait_for_line(f"hook: {hook} failed with status 3")
    with open(lab.path("hooked"), encoding="ascii") as f:
        assert f.read().splitlines()[-1] == f"{OTHER_WAN} {WAN}"
    natd.stop()


# ---- ways out -------------------------------------------------------------------------------------

def second_router(lab, router, lan, lan_address, uuid=2):
    """Another router with miniupnpd; its LAN is a wire to lan0 of router, or its own bridge."""
    second = lab.host("rtr-second")
    lab.wire(second, "wan0", f"{OTHER_WAN}/24", lab.hosts["net"], "br0")
    second.ip("route", "add", "default", "via", SERVER)
    if router:
        lab.wire(second, "lan0", f"{lan_address}/24", router, "lan0")
    else:
        lab.bridge(second, "lan0")
        second.ip("addr", "add", f"{lan_address}/24", "dev", "lan0")
    return Gateway(lab, second, lan, uuid=uuid)


def test_natd_follows_the_default_route(lab):
    """Two gateways on one LAN: the mappings are where the traffic goes, and only there."""
    gateway, host, server = home(lab)
    second = second_router(lab, gateway.router, LAN, f"{LAN}.254")
    forward(second.router, 4)
    second.start()
    natd = start(host)
    assert second.mappings() == {}
    host.ip("route", "replace", "default", "via", f"{LAN}.254")
    healed(natd, second, server, OTHER_WAN)
    wait_until("the first gateway was told", lambda: gateway.mappings() == {})
    assert f"gateway {LAN}.254" in told_once(natd, "network: on ")
    host.ip("route", "replace", "default", "via", f"{LAN}.1")
    healed(natd, gateway, server)
    wait_until("the second gateway was told", lambda: second.mappings() == {})


@once
def test_natd_follows_another_interface(lab):
    """A cable is pulled, and another network takes over until it is back."""
    gateway, host, server = home(lab)
    second = second_router(lab, None, "192.168.78", "192.168.78.1")
    forward(second.router, 4)
    second.start()
    lab.wire(host, "eth1", "192.168.78.2/24", second.router, "lan0")
    host.ip("route", "add", "default", "via", "192.168.78.1", "metric", "600")
    natd = start(host)
    host.ip("link", "set", "eth0", "down")
    elsewhere = {k: v.replace(LAN, "192.168.78") for k, v in TABLE.items()}
    wait_until("the second gateway maps", lambda: second.mappings() == elsewhere)
    natd.wait_mapped("tcp:443", "udp:8443")
    visit(server, "tcp", 443, OTHER_WAN)
    assert natd.call("status")["network"]["interface"] == "eth1"
    host.ip("link", "set", "eth0", "up")
    host.ip("route", "add", "default", "via", f"{LAN}.1")
    healed(natd, gateway, server)
    wait_until("the second gateway was told", lambda: second.mappings() == {})


@once
def test_natd_is_not_led_away_by_a_vpn(lab):
    """Neither a default route through a tunnel nor two halves of one change the gateway."""
    gateway, host, server = home(lab)
    host.ip("route", "del", "default")
    host.ip("route", "add", "default", "via", f"{LAN}.1", "metric", "100")
    natd = start(host)
    before = natd.call("status")
    for routes in (["default"], ["0.0.0.0/1", "128.0.0.0/1"]):
        host.ip("tuntap", "add", "dev", "vpn0", "mode", "tun")
        host.ip("addr", "add", "10.8.0.2", "peer", "10.8.0.1", "dev", "vpn0")
        host.ip("link", "set", "vpn0", "up")
        for route in routes:
            host.ip("route", "add", route, "via", "10.8.0.1", "dev", "vpn0", "metric", "50")
        time.sleep(1)  # it settles for a fifth of that
        host.ip("link", "del", "vpn0")
        time.sleep(0.5)
    after = natd.call("status")
    assert after["network"] == before["network"], (before["network"], after["network"])
    for key in ("requests", "deletions"):
        assert after["counts"][key] == before["counts"][key], after["counts"]
    healed(natd, gateway, server)
