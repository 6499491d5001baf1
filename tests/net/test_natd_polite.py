# SPDX-License-Identifier: Apache-2.0
"""natd touches what is its own and nothing else: others' mappings, restarts, its end."""
import os
import signal
import time

from fakes import FakeGateway
from natd import LAN, Natd, answer, home, lan, visit
from netlab import wait_until
from runner import once

INSIDE, NEIGHBOUR = f"{LAN}.2", f"{LAN}.3"


def upnpc(host, *arguments):
    return host.run(["upnpc", "-m", "eth0", *arguments], timeout=20).stdout


@once
def test_natd_leaves_others_mappings_alone(lab):
    """A neighbour's, and another program's of this host, outlive natd's whole life."""
    gateway, host, neighbour, _server = home(lab, ("host", "neighbour"))
    upnpc(neighbour, "-e", "theirs", "-a", NEIGHBOUR, "5000", "5000", "tcp", "600")
    upnpc(host, "-e", "a game", "-a", INSIDE, "6001", "6000", "udp", "600")
    others = {("tcp", 5000): f"{NEIGHBOUR}:5000", ("udp", 6000): f"{INSIDE}:6001"}
    wait_until("their mappings", lambda: gateway.mappings() == others)
    natd = Natd(host, "--map", "tcp:443", "--map", "udp:443")
    natd.wait_mapped("tcp:443", "udp:443")
    assert gateway.mappings() == {("tcp", 443): f"{INSIDE}:443", ("udp", 443): f"{INSIDE}:443",
                                  **others}
    natd.stop()
    assert gateway.mappings() == others


def conflict(lab, by, **options):
    """A port that a neighbour has is not taken from it, and comes when the neighbour is gone."""
    gateway, host, neighbour, server = home(lab, ("host", "neighbour"), **options)
    answer(host, 5000, 6001)
    answer(neighbour, 5000)
    upnpc(neighbour, "-e", "theirs", "-a", NEIGHBOUR, "5000", "5000", "tcp", "600")
    natd = Natd(host, "--map", "tcp:5000", "--map", "tcp:6001", "--map", "udp:6001:5000")
    m = natd.wait_state("conflicting", port=5000)
    natd.wait_mapped("tcp:6001", "udp:6001")
    assert m["why"] and natd.mapping(port=6001)["by"] == by, m
    table = {("tcp", 5000): f"{NEIGHBOUR}:5000", ("tcp", 6001): f"{INSIDE}:6001",
             ("udp", 5000): f"{INSIDE}:6001"}
    assert gateway.mappings() == table
    visit(server, "tcp", 5000)
    upnpc(neighbour, "-d", "5000", "tcp")
    natd.wait_state("mapped verified", 25, port=5000)
    assert gateway.mappings() == {**table, ("tcp", 5000): f"{INSIDE}:5000"}
    visit(server, "tcp", 5000)


@once
def test_natd_takes_no_port_from_others_by_pcp(lab):
    conflict(lab, "PCP")


@once
def test_natd_takes_no_port_from_others_by_upnp(lab):
    conflict(lab, "UPnP", natpmp=False)


@once
def test_natd_does_not_take_the_port_of_another_program(lab):
    """Of the same host, which miniupnpd would overwrite without a word over UPnP."""
    gateway, host, _server = home(lab, natpmp=False)
    upnpc(host, "-e", "a game", "-a", INSIDE, "6001", "6000", "udp", "600")
    natd = Natd(host, "--map", "udp:7000:6000", "--map", "udp:7001:any")
    m = natd.wait_state("conflicting", protocol="udp", port=7000)
    assert "a game" in m["why"], m
    natd.wait_mapped("udp:7001")
    natd.stop()
    assert gateway.mappings() == {("udp", 6000): f"{INSIDE}:6001"}


@once
def test_natd_any_takes_another_port(lab):
    gateway, host, neighbour, server = home(lab, ("host", "neighbour"))
    answer(host, 5000)
    upnpc(neighbour, "-e", "theirs", "-a", NEIGHBOUR, "5000", "5000", "tcp", "600")
    natd = Natd(host, "--map", "tcp:5000:any")
    natd.wait_mapped("tcp:5000")
    port = int(natd.mapping(port=5000)["external"].rpartition(":")[2])
    assert port != 5000 and port >= 1024
    assert gateway.mappings() == {("tcp", 5000): f"{NEIGHBOUR}:5000",
                                  ("tcp", port): f"{INSIDE}:5000"}
    visit(server, "tcp", port)


# ---- restarts -------------------------------------------------------------------------------------

def killed(natd):
    """As by a fault: nothing is deleted, and nothing of it goes on."""
    children = natd.children()
    natd.process.signal(signal.SIGKILL)
    natd.process.wait()
    wait_until("its processes are gone", lambda: not any(
        os.path.exists(f"/proc/{pid}/exe") for pid in children), 5)


def takes_over(lab, **options):
    """A natd that was killed leaves mappings; its successor has them again and deletes them."""
    gateway, host, server = home(lab, **options)
    answer(host, 443)
    first = Natd(host, "--map", "tcp:443", "--map", "udp:443:any")
    first.wait_mapped("tcp:443", "udp:443")
    table = gateway.mappings()
    killed(first)
    assert gateway.mappings() == table
    second = Natd(host, "--map", "tcp:443", "--map", "udp:443:any", name="second")
    second.wait_mapped("tcp:443", "udp:443")
    visit(server, "tcp", 443)
    assert gateway.mappings() == table
    second.stop()
    assert gateway.mappings() == {}


def test_natd_runs_once_on_a_host(lab):
    """A second one would delete what the first has: it ends, whatever its socket is."""
    gateway, host, server = home(lab)
    answer(host, 443)
    natd = Natd(host, "--map", "tcp:443")
    natd.wait_mapped("tcp:443")
    for number, (path, words) in enumerate(((natd.socket, "another natd runs, and listens on"),
                                            (lab.path("other.sock"), "another natd .of user 0. runs "
                                             "on this host"))):
        second = host.start([f"{lab.build}/postern-natd", "--socket", path, "--map", "tcp:443"],
                            f"second-{number}")
        assert second.wait() == 1
        second.wait_for_line(words)
    assert natd.call("status")["counts"]["deletions"] == 0
    visit(server, "tcp", 443)
    natd.process.must_end_well = False
    natd.process.kill()
    Natd(host, "--map", "tcp:443", name="after").wait_mapped("tcp:443")


def test_natd_takes_over_after_a_crash_by_pcp(lab):
    takes_over(lab)


@once
def test_natd_takes_over_after_a_crash_by_upnp(lab):
    takes_over(lab, natpmp=False)


def nonces(fake):
    return {(r["transport"], r["inside"]): r["nonce"] for r in fake.asked("pcp", "map")}


def keeps_its_nonces(lab, *arguments):
    router, _server, host = lan(lab)
    fake = FakeGateway(lab, router, f"{LAN}.1", pcp=True)
    first = Natd(host, "--map", "tcp:443", "--map", "udp:443", *arguments)
    first.wait_mapped("tcp:443", "udp:443")
    before = nonces(fake)
    assert len(set(before.values())) == 2 and bytes(12) not in before.values(), before
    killed(first)
    assert len(fake.mappings) == 2
    fake.seen.clear()
    second = Natd(host, "--map", "tcp:443", "--map", "udp:443", *arguments, name="second")
    second.wait_mapped("tcp:443", "udp:443")
    assert nonces(fake) == before
    second.stop()
    assert fake.mappings == {}, "a delete was refused: its nonce is another one"


@once
def test_natd_derives_the_same_nonces_again(lab):
    keeps_its_nonces(lab)


@once
def test_natd_keeps_its_nonces_in_the_state_directory(lab):
    state = lab.path("state")
    os.mkdir(state, 0o700)
    keeps_its_nonces(lab, "--state-dir", state)
    assert os.listdir(state)


@once
def test_natd_asks_others_for_nothing_of_theirs(lab):
    """Two hosts with the same configuration keep out of each other's way."""
    gateway, host, neighbour, _server = home(lab, ("host", "neighbour"))
    first = Natd(host, "--map", "tcp:5000:any", name="first")
    first.wait_mapped("tcp:5000")
    second = Natd(neighbour, "--map", "tcp:5000:any", name="second")
    second.wait_mapped("tcp:5000")
    assert sorted(gateway.mappings().values()) == [f"{INSIDE}:5000", f"{NEIGHBOUR}:5000"]
    second.stop()
    assert gateway.mappings() == {("tcp", 5000): f"{INSIDE}:5000"}


# ---- pace -----------------------------------------------------------------------------------------

@once
def test_natd_spaces_its_requests(lab):
    """Forty mappings are not forty datagrams at once, however fast the gateway answers."""
    router, _server, host = lan(lab)
    fake = FakeGateway(lab, router, f"{LAN}.1", pcp=True, natpmp=True, upnp={})
    start = time.monotonic()
    natd = Natd(host, "--map", "udp:5000-5039")
    wait_until("the last is mapped", lambda: ("udp", 5039) in fake.mappings, 20)
    took = time.monotonic() - start
    assert took > 39 * 0.03, f"forty requests within {took:.2f} s"
    natd.wait_mapped("udp:5039")
    asked = fake.asked("pcp", "map")
    assert len(asked) == 40 and not fake.asked("natpmp", "map"), len(asked)
    assert not fake.asked("upnp", "AddPortMapping")
    natd.stop()
    assert fake.mappings == {}


# ---- other hosts ----------------------------------------------------------------------------------

@once
def test_natd_maps_for_another_host(lab):
    """PCP's THIRD_PARTY (RFC 6887 section 13.1): what leads to a host that has no natd itself."""
    gateway, host, printer, server = home(lab, hosts=("host", "printer"),
                                          more=["pcp_allow_thirdparty=yes"])
    answer(printer, 631)
    natd = Natd(host, file=f"map: [{{protocol: tcp, port: 631, host: {LAN}.3, ipv6: false}}]\n"
                           "upnp: false\nnatpmp: false\n")
    m = natd.wait_state("mapped", port=631)
    assert m["by"] == "PCP" and m["host"] == f"{LAN}.3", m
    assert gateway.mappings() == {("tcp", 631): f"{LAN}.3:631"}
    visit(server, "tcp", 631)
    assert "leads to another host" in wait_until(
        "why it is not verified", lambda: natd.mapping(port=631).get("unproven"))
    natd.stop()
    assert gateway.mappings() == {}
