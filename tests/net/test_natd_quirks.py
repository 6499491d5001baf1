# SPDX-License-Identifier: Apache-2.0
"""natd at gateways with manners that miniupnpd cannot show: fakes, one quirk each."""
import re
import socket
import struct
import time

from fakes import MAPPED, FakeGateway, Gateway6, Mapping, answer_datagrams, udp
from natd import LAN, Natd, home, lan
from netlab import wait_until
from runner import once
from test_natd_heal import told_once

INSIDE, ROUTER, NEIGHBOUR = f"{LAN}.2", f"{LAN}.1", f"{LAN}.3"
PERMANENT = 0


def fake_home(lab, *arguments, file=None, taken=(), **speaks):
    """(fake gateway, natd); what is taken already belongs to a neighbour."""
    router, _server, host = lan(lab)
    fake = FakeGateway(lab, router, ROUTER, **speaks)
    for key in taken:
        fake.mappings[key] = Mapping(NEIGHBOUR, key[1], 3600, "theirs")
    if not arguments and not file:
        arguments = ("--map", "tcp:443")
    natd = Natd(host, *arguments, file=file)
    return fake, natd


def ours(fake):
    """{(transport, external port): port inside} of what leads to natd's host."""
    return {k: m.port for k, m in fake.mappings.items() if m.inside == INSIDE}


def protocol(natd, name):
    found = [p for p in natd.call("status")["protocols"] if p["protocol"] == name]
    return found[0] if found else None


def mapped_by(natd, fake, by, port=443):
    natd.wait_mapped("tcp:443")
    assert natd.mapping()["by"] == by and ours(fake) == {("tcp", port): 443}, natd.mapping()
    natd.stop()
    assert ours(fake) == {}


# ---- what gateways speak --------------------------------------------------------------------------

def test_natd_pcp_only(lab):
    fake, natd = fake_home(lab, pcp=True)
    mapped_by(natd, fake, "PCP")


def test_natd_natpmp_only(lab):
    """And it says so: a version 0 answer to PCP (RFC 6887 section 9)."""
    fake, natd = fake_home(lab, natpmp=True)
    mapped_by(natd, fake, "NAT-PMP")
    assert not fake.asked("pcp", "map")


def test_natd_igd1_only(lab):
    fake, natd = fake_home(lab, upnp={"version": 1})
    mapped_by(natd, fake, "UPnP")
    assert not fake.asked("upnp", "AddAnyPortMapping")


def test_natd_igd2_picks_another_port(lab):
    fake, natd = fake_home(lab, "--map", "tcp:443:any", upnp={"version": 2},
                           taken=[("tcp", 443)])
    natd.wait_mapped("tcp:443")
    (_, port), = ours(fake)
    assert port >= 1024 and fake.mappings[("tcp", 443)].inside == NEIGHBOUR
    natd.stop()
    assert list(fake.mappings) == [("tcp", 443)]


def test_natd_without_any_gateway(lab):
    """The router forwards and speaks nothing; the word for that, and advice."""
    _router, _server, host = lan(lab)
    natd = Natd(host, "--map", "tcp:443")
    m = natd.wait_state("unsupported", 25)
    assert "by hand" in m["why"] and "PCP, NAT-PMP, UPnP" in m["why"], m
    natd.stop()


def test_natd_a_silent_gateway_wakes_up(lab):
    """It accepts everything and answers nothing; later it does."""
    fake, natd = fake_home(lab, pcp=True, natpmp=True, upnp={})
    natd.stop()
    fake.control.silent = fake.upnp.silent = True
    host = lab.hosts["host"]
    natd = Natd(host, "--map", "tcp:443", name="again")
    natd.wait_state("unsupported", 25)
    fake.control.silent = False
    natd.wait_mapped("tcp:443", timeout=20)
    assert natd.mapping()["by"] in ("PCP", "NAT-PMP")


def test_natd_a_slow_gateway(lab):
    """A second for each answer is slow, not silent."""
    fake, natd = fake_home(lab, upnp={"delay": 1.0})
    natd.wait_mapped("tcp:443", timeout=25)
    assert ours(fake) == {("tcp", 443): 443}


def test_natd_a_slow_pcp_server(lab):
    fake, natd = fake_home(lab, pcp=True, control={"delay": 1.0})
    natd.wait_mapped("tcp:443", timeout=25)
    assert natd.mapping()["by"] == "PCP" and ours(fake) == {("tcp", 443): 443}


# ---- leases ---------------------------------------------------------------------------------------

def permanent_only(lab, error):
    """Leases are refused: mapped for good, looked at now and then, deleted at the end."""
    fake, natd = fake_home(lab, file="recheck: 10s\nmap:\n- {protocol: tcp, port: 443}\n",
                           upnp={"only_permanent": error})
    natd.wait_mapped("tcp:443")
    assert natd.mapping()["lifetime_s"] == 0 and fake.mappings[("tcp", 443)].lease == PERMANENT
    return fake, natd


def test_natd_permanent_leases_only(lab):
    fake, natd = permanent_only(lab, 725)
    fake.mappings.clear()  # as silently as a full table does it
    wait_until("it is back", lambda: ours(fake) == {("tcp", 443): 443}, 15)
    natd.stop()
    assert not fake.mappings


def test_natd_permanent_leases_only_by_402(lab):
    fake, natd = permanent_only(lab, 402)
    natd.stop()
    assert not fake.mappings


def test_natd_short_leases_by_natpmp(lab):
    """A gateway that grants eight seconds is asked again before they are over, and not all the
    time."""
    fake, natd = fake_home(lab, natpmp=True, control={"lifetime": 8})
    natd.wait_mapped("tcp:443")
    assert natd.mapping()["lifetime_s"] == 8
    fake.seen.clear()
    time.sleep(9)
    asked = len(fake.asked("natpmp", "map"))
    assert 1 <= asked <= 4, asked
    assert natd.mapping()["state"] == "mapped"


# ---- refusals -------------------------------------------------------------------------------------

def refused(lab, error, state, word):
    fake, natd = fake_home(lab, upnp={"error": {"AddPortMapping": error}})
    m = natd.wait_state(state)
    assert word in m["why"], m
    before = len(fake.asked("upnp", "AddPortMapping"))
    time.sleep(1)
    assert len(fake.asked("upnp", "AddPortMapping")) == before, "it is asked again and again"


def test_natd_718(lab):
    refused(lab, 718, "conflicting", "718")


def test_natd_606(lab):
    refused(lab, 606, "refused", "606")


def test_natd_501(lab):
    """A fault that passes: it is told, and asked again within seconds."""
    fake, natd = fake_home(lab, upnp={"error": {"AddPortMapping": 501}})
    m = wait_until("it says when it is tried again",
                   lambda: m if "again_s" in (m := natd.mapping()) else None)
    assert m["state"] == "requested" and "501" in m["why"] and m["again_s"] <= 6, m
    fake.upnp.error = {}
    natd.wait_mapped("tcp:443", timeout=8)
    assert "again_s" not in natd.mapping()


def test_natd_secure_mode_refuses_another_host(lab):
    _fake, natd = fake_home(lab, file="map:\n- {protocol: tcp, port: 443, host: " + NEIGHBOUR +
                            "}\n", upnp={})
    m = natd.wait_state("refused")
    assert "another host" in m["why"] or "606" in m["why"], m


def test_natd_pcp_refuses(lab):
    """NOT_AUTHORIZED: said in words, and not answered by trying harder."""
    fake, natd = fake_home(lab, pcp=True, control={"result": 2})
    m = natd.wait_state("refused")
    assert "NOT_AUTHORIZED" in m["why"], m
    time.sleep(1)
    assert len(fake.asked("pcp", "map")) == 1


def named_by_tr_064(lab, **more):
    """What it has, it has by the names of TR-064 alone."""
    fake, natd = fake_home(lab, upnp={"owner": "dslforum-org", **more})
    mapped_by(natd, fake, "UPnP")


def test_natd_services_of_tr_064(lab):
    named_by_tr_064(lab)


def test_natd_services_of_tr_064_behind_other_searches(lab):
    """It answers like any device; so does a television, which is not asked for anything."""
    named_by_tr_064(lab, answers=("upnp:rootdevice",))


def test_natd_a_gateway_that_answers_to_all_only(lab):
    fake, natd = fake_home(lab, upnp={"answers": ("ssdp:all",)})
    mapped_by(natd, fake, "UPnP")


def six(lab):
    """(router, host, the router's link-local address on the LAN) with IPv6."""
    router, _server, host = lan(lab)
    for machine, dev, address in ((router, "lan0", "2001:db8:77::1"),
                                  (host, "eth0", "2001:db8:77::2")):
        machine.ip("addr", "add", f"{address}/64", "dev", dev, "nodad")
    local = "fe80::77"
    router.ip("addr", "add", f"{local}/64", "dev", "lan0", "nodad")
    host.ip("route", "add", "default", "via", local, "dev", "eth0")
    return router, host, local


def pinhole(lab, address, **options):
    """A firewall whose description is at this address lets natd's host, and no other, open a port."""
    router, host, local = six(lab)
    if address.startswith("fd"):
        router.ip("addr", "add", f"{address}/64", "dev", "lan0", "nodad")
    fake = Gateway6(lab, router, address or local, **options)
    natd = Natd(host, "--map", "tcp:443")
    natd.wait_mapped("tcp:443/ipv6")
    assert natd.mapping(family="ipv6")["by"] == "UPnP"
    assert list(fake.holes.values()) == [("2001:db8:77::2", 443)]
    natd.stop()
    assert not fake.holes


def test_natd_pinhole_at_a_global_location(lab):
    pinhole(lab, "2001:db8:77::1")


def test_natd_pinhole_at_a_link_local_location(lab):
    pinhole(lab, "")


def test_natd_pinhole_at_a_unique_local_location(lab):
    pinhole(lab, "fd00:77::1")


def test_natd_pinhole_by_searches_of_any_device(lab):
    pinhole(lab, "2001:db8:77::1", answers=("upnp:rootdevice",))


def test_natd_pinhole_over_ipv4(lab):
    """The service is there, and answers over IPv4 alone."""
    router, host, _local = six(lab)
    fake = FakeGateway(lab, router, ROUTER, upnp={"pinholes": True})
    natd = Natd(host, "--map", "tcp:443")
    natd.wait_mapped("tcp:443", "tcp:443/ipv6")
    assert list(fake.upnp.holes.values()) == [("2001:db8:77::2", 443)]
    natd.stop()
    assert not fake.upnp.holes


def test_natd_pinholes_that_the_owner_has_not_allowed(lab):
    """As at a FRITZ!Box: by its status, or by 606. Once the box is ticked it is asked again."""
    router, host, _local = six(lab)
    fake = Gateway6(lab, router, "2001:db8:77::1")
    fake.allowed = 0
    natd = Natd(host, "--map", "tcp:443")
    m = natd.wait_state("refused", family="ipv6")
    assert "independent port sharing" in m["why"], m
    assert not fake.holes
    fake.allowed, fake.error = 1, {"AddPinhole": 606}
    natd.call("renew")
    natd.call("probe")
    wait_until("it was asked", lambda: [a for _, a, _ in fake.seen if a == "AddPinhole"])
    m = natd.wait_state("refused", family="ipv6")
    assert "(606)" in m["why"] and "independent port sharing" in m["why"], m
    fake.error = {}
    natd.call("renew")
    natd.wait_mapped("tcp:443/ipv6")


def test_natd_an_entry_that_is_switched_off(lab):
    """The gateway says yes, and keeps what it forwards to nobody."""
    fake, natd = fake_home(lab, upnp={"enabled": 0})
    m = natd.wait_state("refused")
    assert "switched off" in m["why"], m
    fake.upnp.enabled = 1
    natd.call("renew")
    natd.wait_mapped("tcp:443")


def high_ports_only(lab, **options):
    """miniupnpd whose rules are those of many routers: from 1024 up."""
    _gateway, host, _server = home(lab, more=["deny 0-1023 0.0.0.0/0 0-65535"], **options)
    natd = Natd(host, "--map", "tcp:443", "--map", "tcp:444:8444")
    natd.wait_mapped("tcp:444")
    m = natd.wait_state("refused conflicting")
    assert "no port below 1024" in m["why"] and "external: 8443" in m["why"], m


def test_natd_low_ports_by_upnp(lab):
    high_ports_only(lab, natpmp=False)


def test_natd_low_ports_by_pcp(lab):
    high_ports_only(lab, upnp=False)


# ---- other ports than asked for -------------------------------------------------------------------

def other_port(lab, which, **speaks):
    return fake_home(lab, "--map", which, control={"shift": 1000}, **speaks)


def test_natd_pcp_gives_another_port_to_any(lab):
    fake, natd = other_port(lab, "tcp:443:any", pcp=True)
    natd.wait_mapped("tcp:443")
    assert natd.mapping()["external"] == "45.0.0.10:1443" and ours(fake) == {("tcp", 1443): 443}
    assert not fake.asked("pcp", "map")[0]["prefer_failure"]


def test_natd_pcp_gives_another_port_than_the_one(lab):
    """It ignores PREFER_FAILURE: what was not asked for is given back."""
    fake, natd = other_port(lab, "tcp:5000", pcp=True)
    natd.wait_state("conflicting", port=5000)
    assert fake.asked("pcp", "map")[0]["prefer_failure"]
    wait_until("it was given back", lambda: ours(fake) == {})


def test_natd_natpmp_gives_another_port_than_the_one(lab):
    fake, natd = other_port(lab, "tcp:5000", natpmp=True)
    natd.wait_state("conflicting", port=5000)
    wait_until("it was given back", lambda: ours(fake) == {})


# ---- something else than asked for ----------------------------------------------------------------

def same_port(lab, **speaks):
    """Port 22 inside was asked for, and 8443 is what it leads to: nothing of that stays."""
    router, _server, host = lan(lab)
    fake = FakeGateway(lab, router, ROUTER, **speaks)
    (fake.control or fake.upnp).same_port = True
    natd = Natd(host, "--map", "tcp:22:8443")
    m = natd.wait_state("misdirected", port=22)
    assert "leads port 8443 to port 8443 inside, not 22" in m["why"], m
    wait_until("it was taken back", lambda: not fake.mappings)
    assert wait_until("it says when it tries again",
                      lambda: natd.mapping(port=22).get("again_s")) > 3000
    return fake, natd


def test_natd_upnp_leads_to_another_port(lab):
    fake, natd = same_port(lab, upnp={})
    shown = lab.hosts["host"].run([f"{lab.build}/postern", "nat", "status", "--socket", natd.socket],
                                  check=False)
    assert "misdirected" in shown.stdout and "asked again in" in shown.stdout, shown.stdout
    natd.stop()
    assert not fake.mappings


def test_natd_upnp_leads_to_another_port_for_good(lab):
    fake, natd = same_port(lab, upnp={"only_permanent": 725})
    natd.stop()
    assert not fake.mappings


def test_natd_pcp_leads_to_another_port(lab):
    fake, natd = same_port(lab, pcp=True)
    natd.stop()
    assert not fake.mappings


def test_natd_natpmp_leads_to_another_port(lab):
    fake, natd = same_port(lab, natpmp=True)
    natd.stop()
    assert not fake.mappings


def test_natd_what_is_not_taken_back_is_told(lab):
    """The gateway refuses the deletion: people are told what to close, and at the end it is tried
    again."""
    router, _server, host = lan(lab)
    fake = FakeGateway(lab, router, ROUTER, upnp={"error": {"DeletePortMapping": 606}})
    fake.upnp.same_port = True
    natd = Natd(host, "--map", "tcp:22:8443")
    m = wait_until("it says what to delete by hand", lambda: m if (m := natd.mapping(port=22))[
        "state"] == "misdirected" and "by hand" in m["why"] else None)
    assert f"tcp port 8443 to {INSIDE}:8443" in m["why"], m
    fake.upnp.error = {}
    natd.stop()
    assert not fake.mappings


def test_natd_what_has_another_text_is_not_taken_back_either(lab):
    """The same with a text of the gateway's own: it is not called another's, or gone, for that."""
    router, _server, host = lan(lab)
    fake = FakeGateway(lab, router, ROUTER, upnp={"error": {"DeletePortMapping": 606}})
    fake.upnp.same_port = True
    fake.upnp.text = "UPnP 1"
    natd = Natd(host, "--map", "tcp:22:8443")
    wait_until("it says what to delete by hand", lambda: (m := natd.mapping(port=22))[
        "state"] == "misdirected" and "by hand" in m["why"])
    fake.upnp.error = {}
    natd.stop()
    assert not fake.mappings


def listens(path):
    with socket.socket(socket.AF_UNIX) as s:
        return s.connect_ex(path) == 0


def test_natd_what_a_natd_left_astray_is_found(lab):
    """It ended without a word: the next one knows its own, and does not call it another's."""
    router, _server, host = lan(lab)
    fake = FakeGateway(lab, router, ROUTER, upnp={})
    killed = Natd(host, "--map", "tcp:22:8443")
    killed.wait_mapped("tcp:22")
    killed.process.must_end_well = False
    killed.process.kill()
    wait_until("its socket is gone", lambda: not listens(killed.socket))  # io_uring lets go of it a little later
    text = fake.mappings[("tcp", 8443)].description
    assert re.fullmatch(r"Postern ([0-9a-f]{6} )?tcp 22", text), text
    fake.mappings[("tcp", 8443)] = Mapping(INSIDE, 8443, PERMANENT, text)
    fake.upnp.same_port = True
    natd = Natd(host, "--map", "tcp:22:8443")
    natd.wait_state("misdirected", port=22)
    wait_until("it was taken back", lambda: not fake.mappings)


# ---- probes, renewals, restarts -------------------------------------------------------------------

def answers_probes_only(lab, **speaks):
    router, _server, host = lan(lab)
    fake = FakeGateway(lab, router, ROUTER, upnp={}, **speaks)
    fake.control.deaf = True
    natd = Natd(host, "--map", "tcp:443", "--map", "udp:5000-5009")
    natd.wait_mapped("tcp:443", timeout=20)
    assert natd.mapping()["by"] == "UPnP"
    return fake, natd


def test_natd_pcp_and_natpmp_answer_probes_only(lab):
    _fake, natd = answers_probes_only(lab, pcp=True, natpmp=True)
    natd.wait_mapped(*(f"udp:{port}" for port in range(5000, 5010)), timeout=10)


def test_natd_pcp_does_not_renew_while_the_lease_runs(lab):
    """Mapped until it ends, with the reason beside; then it is made anew at once."""
    fake, natd = fake_home(lab, pcp=True, control={"lifetime": 12})
    natd.wait_mapped("tcp:443")
    fake.control.refuses_renewals = 8  # NO_RESOURCES
    began = time.monotonic()
    m = wait_until("the renewal failed", lambda: m if "again_s" in (m := natd.mapping()) else None, 9)
    assert m["state"] == "mapped" and "NO_RESOURCES" in m["why"] and m["external"], m
    while time.monotonic() < began + 10:
        assert natd.mapping()["state"] == "mapped", natd.mapping()
        time.sleep(0.2)
    fake.mappings.clear()  # its lease is over
    fake.control.refuses_renewals = 0
    wait_until("it was made anew", lambda: ours(fake) == {("tcp", 443): 443}, 8)
    natd.wait_mapped("tcp:443")


def test_natd_two_pcp_servers_in_turn(lab):
    """A pair whose members answer in turn, each with an epoch of its own: told once, and no flood."""
    router, _server, host = lan(lab)
    fake = FakeGateway(lab, router, ROUTER, pcp=True)
    turns = [0]

    def epoch():
        turns[0] += 1
        return (500000 if turns[0] % 2 else 1000) + int(time.monotonic() - fake.control.started)

    fake.control.epoch = epoch
    natd = Natd(host, "--map", "tcp:443", "--map", "udp:5000-5009")
    natd.wait_mapped("tcp:443", "udp:5009")
    time.sleep(12)
    assert len(fake.asked("pcp", "map")) < 60, len(fake.asked("pcp", "map"))
    assert natd.count_lines("answer in turn") == 1
    assert "in turn" in protocol(natd, "PCP")["note"]
    assert natd.count_lines("the gateway restarted") <= 2


# ---- lies -----------------------------------------------------------------------------------------

def verdict_of(lab, address, verdict, **speaks):
    """Each protocol, alone, leads to the same verdict and advice."""
    external = {"external": address}
    given = {k: v for k, v in speaks.items() if k != "upnp"}
    fake, natd = fake_home(lab, control=external if given else None, **given,
                           upnp=external if "upnp" in speaks else None)
    said = wait_until("a verdict", lambda: (
        x if (x := natd.call("status")["external"])["verdict"] != "unknown" else None), 15)
    assert said["verdict"] == verdict, said
    natd.stop()
    assert ours(fake) == {}
    return said["sentence"], said["advice"]


def same_verdict(lab, address, verdict):
    """By all three protocols, one after the other on networks of their own."""
    said = set()
    for speaks in ({"pcp": True}, {"natpmp": True}, {"upnp": True}):
        with type(lab)(lab.build, lab.engine, lab.name) as own:
            said.add(verdict_of(own, address, verdict, **speaks))
    assert len(said) == 1, said
    return said.pop()


def test_natd_private_external_address(lab):
    sentence, advice = same_verdict(lab, "10.99.0.10", "double_nat")
    assert "10.99.0.10" in sentence and "bridge mode" in advice


def test_natd_carriers_external_address(lab):
    sentence, advice = same_verdict(lab, "100.64.3.4", "cgnat")
    assert "100.64.3.4" in sentence and "provider" in advice


def test_natd_no_external_address(lab):
    _sentence, advice = same_verdict(lab, None, "double_nat")
    assert "bridge mode" in advice


def test_natd_external_address_of_zeroes(lab):
    """Mapped, it says, to nowhere: the port is told, and no address that is none."""
    fake, natd = fake_home(lab, natpmp=True, control={"external": "0.0.0.0"})
    natd.wait_state("mapped refused")
    status = natd.call("status")["external"]
    assert "gateway" not in status and status["verdict"] != "plausible", status
    assert len(fake.asked("natpmp", "map")) < 5


# ---- wrong answers --------------------------------------------------------------------------------

class Wrong:
    """A server on 5351 whose answers are wrong in one way; right() switches that off."""

    def __init__(self, lab, router, spoil, source=None):
        self.mappings, self.seen, self.spoil = {}, [], spoil
        self.sock = udp(router, 5351, ROUTER)
        self.other = udp(router, 5351, source) if source else None
        answer_datagrams(lab, self.sock, self.answer)

    def answer(self, data, peer):
        if data[0] != 2:
            return self.send(self.natpmp(data), peer)
        reply = struct.pack("!BBxBII12x", 2, data[1] | 0x80, 0, 120, 1000)
        if data[1] == 1:
            nonce, transport, inside, outside = struct.unpack("!12sBxxxHH", data[24:44])
            self.seen.append(outside)
            reply += struct.pack("!12sBxxxHH16s", nonce, transport, inside, outside,
                                 MAPPED + socket.inet_aton("45.0.0.10"))
        return self.send(reply, peer)

    @staticmethod
    def natpmp(data):
        if data[1] == 0:
            return struct.pack("!BBHI4s", 0, 128, 0, 1000, socket.inet_aton("45.0.0.10"))
        return struct.pack("!BBHIHHI", 0, data[1] | 0x80, 0, 1000,
                           *struct.unpack("!HHI", data[4:12]))

    def send(self, reply, peer):
        if self.other:
            self.other.sendto(reply, peer)
            return None
        return self.spoil(reply)


def believes_nothing(lab, spoil):
    router, _server, host = lan(lab)
    wrong = Wrong(lab, router, spoil)
    natd = Natd(host, "--map", "tcp:443")
    time.sleep(3)
    assert natd.mapping()["state"] in ("requested", "unsupported"), natd.mapping()
    assert "gateway" not in natd.call("status")["external"]
    # That is because of what is wrong alone: without it this gateway is believed.
    wrong.spoil, wrong.other = bytes, None
    natd.process.remember()
    natd.wait_mapped("tcp:443", timeout=30)
    assert natd.call("status")["external"]["gateway"] == "45.0.0.10"
    return wrong, natd


def test_natd_answers_from_another_address(lab):
    """A pair of routers answers from the address of one of them: that is no answer, and told."""
    router, _server, host = lan(lab)
    router.ip("addr", "add", f"{LAN}.200/24", "dev", "lan0")
    wrong = Wrong(lab, router, bytes, f"{LAN}.200")
    natd = Natd(host, "--map", "tcp:443")
    m = natd.wait_state("refused", 20)
    assert f"come from {LAN}.200, not from {ROUTER}" in m["why"], m
    assert "gateway" not in natd.call("status")["external"] and not wrong.seen


def test_natd_pcp_answers_with_wrong_nonces(lab):
    """To its probe it answers rightly, so that it is asked; all of its mappings are another's."""
    def spoil(reply):
        if reply[0] == 0:
            return None
        return reply[:24] + bytes(12) + reply[36:] if len(reply) == 60 else reply

    _router, _server, host = lan(lab)
    wrong = Wrong(lab, _router, spoil)
    natd = Natd(host, "--map", "tcp:443")
    wait_until("it was asked", lambda: wrong.seen)
    time.sleep(1)
    assert natd.mapping()["state"] == "requested", natd.mapping()
    wrong.spoil = bytes
    natd.wait_mapped("tcp:443", timeout=20)


def test_natd_pcp_answers_with_wrong_ports(lab):
    def spoil(reply):
        if reply[0] == 0:
            return None
        return reply[:40] + b"\x01\x02" + reply[42:] if len(reply) == 60 else reply

    _router, _server, host = lan(lab)
    wrong = Wrong(lab, _router, spoil)
    natd = Natd(host, "--map", "tcp:443")
    wait_until("it was asked", lambda: wrong.seen)
    time.sleep(1)
    assert natd.mapping()["state"] == "misdirected", natd.mapping()


def test_natd_answers_cut_short(lab):
    believes_nothing(lab, lambda reply: reply[:len(reply) - 3])


# ---- the log ----------------------------------------------------------------------------------------

@once
def test_natd_tells_what_fails(lab):
    """In the log as it is by default, once: also what another protocol makes up for."""
    router, _server, host = lan(lab)
    fake = FakeGateway(lab, router, ROUTER, pcp=True, upnp={}, control={"result": 2})
    natd = Natd(host, "--map", "tcp:443", "--stun", "45.0.0.99:3478")
    natd.process.mark = 0
    natd.wait_mapped("tcp:443", timeout=20)
    assert natd.mapping()["by"] == "UPnP"
    told_once(natd, r"tcp 443: PCP: refused: ")
    natd.process.wait_for_line(r"warning stun: no STUN server answers")
    natd.call("renew")
    time.sleep(1)
    told_once(natd, r"tcp 443: PCP: refused: ")
    assert fake.asked("pcp", "map")


@once
def test_natd_tells_that_there_is_nothing(lab):
    _router, _server, host = lan(lab)
    natd = Natd(host, "--map", "tcp:443")
    natd.process.mark = 0
    natd.wait_state("unsupported", 30)
    line = told_once(natd, r"tcp 443: requested -> unsupported: ")
    assert " warning " in line and "forward the port by hand" in line, line


# ---- falling over ---------------------------------------------------------------------------------

def test_natd_falls_over_and_never_maps_twice(lab):
    """PCP and NAT-PMP fall silent while UPnP goes on with the same table, and come back."""
    fake, natd = fake_home(lab, pcp=True, natpmp=True, upnp={"version": 2},
                           control={"lifetime": 8})
    natd.wait_mapped("tcp:443")
    assert natd.mapping()["by"] == "PCP"
    wait_until("UPnP was found, too", lambda: protocol(natd, "UPnP")["state"] == "available")
    natd.process.remember()
    fake.control.silent = True
    wait_until("UPnP took over", lambda: (m := natd.mapping())["state"] == "mapped" and
               m["by"] == "UPnP", 40)
    assert ours(fake) == {("tcp", 443): 443}
    assert natd.count_lines("PCP is no longer there") <= 1
    fake.control.silent = False
    wait_until("PCP is back", lambda: protocol(natd, "PCP")["state"] == "available", 30)
    time.sleep(1)
    assert natd.mapping()["by"] == "UPnP" and ours(fake) == {("tcp", 443): 443}
    natd.stop()
    assert ours(fake) == {}
