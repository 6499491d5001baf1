# SPDX-License-Identifier: Apache-2.0
"""natd on a LAN with hostile neighbours: not stalled, not grown, not led elsewhere.

A neighbour that answers searches for gateways stands beside the router, whose UPnP (a fake one, so
that what it is asked is seen) is mapped all the same.
"""
import os
import time

from fakes import FakeGateway, SSDP_ANSWER, SSDP_GROUP, SSDP_PORT, udp
from hostile import UUID, Responder, Witness
from natd import LAN, Natd, lan
from netlab import wait_until
from runner import limit, once

ROUTER, BAD, THIRD = f"{LAN}.1", f"{LAN}.3", f"{LAN}.4"
DAEMON_MIB, WORKER_MIB = 48, 64  # resident, far above what they need


def resident_mib(pid):
    """0 when it is gone."""
    try:
        with open(f"/proc/{pid}/status", encoding="ascii") as f:
            return next((int(x.split()[1]) for x in f if x.startswith("VmRSS")), 0) / 1024
    except OSError:
        return 0


class Street:
    """A home with a bad neighbour, and a third host that natd may not be led to."""

    def __init__(self, lab, gateway=True, **bad):
        router, _server, self.host, self.bad, self.third = lan(lab, hosts=("host", "bad", "third"))
        self.fake = FakeGateway(lab, router, ROUTER, upnp={"version": 1}) if gateway else None
        self.witnesses = [Witness(self.third, 80), Witness(self.third, 5000),
                          Witness(self.host, 5000, "127.0.0.1")]
        self.responder = Responder(self.bad, BAD, **bad) if bad else None
        self.natd, self.most, self.worker_most = None, 0, 0

    def start(self):
        """UPnP alone: the real gateway's other protocols would make it too easy."""
        self.natd = Natd(self.host, "--map", "tcp:443", file="pcp: false\nnatpmp: false\n")
        return self

    def watch(self):
        natd = self.natd
        self.most = max(self.most, resident_mib(natd.process.pid))
        for pid in natd.children():
            self.worker_most = max(self.worker_most, resident_mib(pid))

    def mapped(self, timeout=25.0):
        """The real gateway's mapping is there within a bounded time, despite the other."""
        def look():
            self.watch()
            return ("tcp", 443) in self.fake.mappings

        wait_until("the gateway's mapping", look, timeout)
        self.natd.wait_mapped("tcp:443")
        assert self.natd.mapping()["by"] == "UPnP"

    def kept_its_size(self):
        self.watch()
        assert 0 < self.most < DAEMON_MIB, f"natd grew to {self.most:.0f} MiB"
        assert self.worker_most < WORKER_MIB, f"the worker grew to {self.worker_most:.0f} MiB"

    def led_nowhere(self):
        led = [w.came for w in self.witnesses if w.came]
        assert not led, f"it was led to {led}"

    def ends(self):
        """Promptly, and nothing goes on behind it."""
        children = self.natd.children()
        start = time.monotonic()
        self.natd.stop()
        assert time.monotonic() - start < 8
        wait_until("its processes are gone", lambda: not any(
            os.path.exists(f"/proc/{pid}/exe") for pid in children), 5)
        assert not self.fake or not self.fake.mappings


def beside(lab, seconds=0.0, **bad):
    """The bad neighbour beside the real gateway."""
    street = Street(lab, **bad).start()
    street.mapped()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        street.watch()
        time.sleep(0.1)
    street.kept_its_size()
    street.led_nowhere()
    street.ends()
    return street


def alone(lab, seconds=5.0, **bad):
    """The bad neighbour is all there is: natd looks at it, leaves it, and says why it has nothing."""
    street = Street(lab, gateway=False, **bad).start()
    wait_until("it was looked at", lambda: street.responder.searched, 10)
    end = time.monotonic() + seconds

    def decided():
        street.watch()
        m = street.natd.mapping()
        return m["state"] in ("unsupported", "refused") and m["why"] and time.monotonic() > end

    wait_until("it says why it has nothing", decided, 30, 0.1)
    street.kept_its_size()
    street.led_nowhere()
    street.ends()
    return street


# ---- bodies ---------------------------------------------------------------------------------------

@once
def test_natd_hostile_drip(lab):
    street = alone(lab, serve=Responder.drip)
    assert street.responder.fetched, "it was not even asked"
    assert street.responder.fetched < 6, "it is asked again and again"


@once
def test_natd_hostile_drip_head(lab):
    assert alone(lab, serve=Responder.drip_head).responder.fetched


@once
def test_natd_hostile_endless(lab):
    """As much as natd takes is at most what the worker may hold."""
    street = alone(lab, serve=Responder.endless)
    assert street.responder.fetched
    assert street.responder.sent < 64 << 20, street.responder.sent


@once
def test_natd_hostile_deaf(lab):
    assert alone(lab, serve=Responder.deaf).responder.fetched


@once
def test_natd_hostile_beside_a_gateway(lab):
    """The gateway answers its own search first: the neighbour is not even asked."""
    street = beside(lab, serve=Responder.drip)
    assert street.responder.fetched <= 1


@once
@limit(90)
def test_natd_hostile_until_the_gateway_comes(lab):
    """Neighbours who drip and who say nothing come before the gateway, which was off."""
    street = Street(lab, serve=Responder.drip)
    street.fake.upnp.silent = True
    Responder(street.third, THIRD, serve=Responder.deaf, port=5555)
    street.start()
    wait_until("they were asked", lambda: street.responder.fetched, 15)
    street.fake.upnp.silent = False
    street.mapped(60)
    street.kept_its_size()
    street.ends()


# ---- places ---------------------------------------------------------------------------------------

def led(lab, **bad):
    """A location or control URL that leads astray: alone, so that natd has nothing better."""
    return alone(lab, 3.0, **bad)


@once
def test_natd_hostile_location_at_loopback(lab):
    led(lab, location="http://127.0.0.1:5000/description.xml")


@once
def test_natd_hostile_location_at_a_third_host(lab):
    led(lab, location=f"http://{THIRD}:5000/description.xml")


@once
def test_natd_hostile_location_by_name(lab):
    led(lab, location="http://localhost:5000/description.xml")


@once
def test_natd_hostile_location_outside(lab):
    led(lab, location="http://45.0.0.2:80/description.xml")


@once
def test_natd_hostile_location_https(lab):
    led(lab, location=f"https://{THIRD}:5000/description.xml")


@once
def test_natd_hostile_location_with_a_user(lab):
    led(lab, location=f"http://{BAD}@{THIRD}:5000/description.xml")


@once
def test_natd_hostile_redirect(lab):
    street = led(lab, serve=lambda r, s: r.redirect_to(f"http://{THIRD}:80/x")(r, s))
    assert street.responder.fetched


@once
def test_natd_hostile_control_at_a_third_host(lab):
    street = led(lab, serve=lambda r, s: r.control_at(f"http://{THIRD}:5000/control")(r, s))
    assert street.responder.fetched


@once
def test_natd_hostile_control_at_loopback(lab):
    street = led(lab, serve=lambda r, s: r.control_at("http://127.0.0.1:5000/control")(r, s))
    assert street.responder.fetched


@once
def test_natd_hostile_base_at_a_third_host(lab):
    street = led(lab, serve=lambda r, s: r.control_at("/control", f"http://{THIRD}:80/")(r, s))
    assert street.responder.fetched


# ---- floods and forgeries -------------------------------------------------------------------------

@once
def test_natd_hostile_flood_of_answers(lab):
    beside(lab, 2.0, serve=Responder.drip, answers=400)


@once
def test_natd_hostile_flood_alone(lab):
    street = alone(lab, 4.0, serve=Responder.deaf, answers=400)
    assert street.responder.fetched < 4, street.responder.fetched


class Stranger(Responder):
    """Answers from an address that is none of this LAN's, where it also serves."""

    address_elsewhere = "10.66.0.3"

    def __init__(self, host, address, **options):
        host.ip("addr", "add", f"{self.address_elsewhere}/24", "dev", "eth0")
        self.elsewhere = udp(host, 0, self.address_elsewhere)
        super().__init__(host, address, **options)

    def answer(self, data, peer):
        reply = super().answer(data, peer)
        if reply:
            self.elsewhere.sendto(reply, peer)


def strange(lab, location):
    street = Street(lab, gateway=False)
    street.responder = Stranger(street.bad, BAD, location=location, serve=Responder.deaf)
    street.start()
    wait_until("it was searched", lambda: street.responder.searched, 10)
    street.natd.wait_state("unsupported", 25)
    assert not street.responder.fetched
    street.kept_its_size()
    street.led_nowhere()
    street.ends()


@once
def test_natd_hostile_answers_from_another_network(lab):
    strange(lab, f"http://{Stranger.address_elsewhere}:5000/description.xml")


@once
def test_natd_hostile_answers_from_the_wrong_address(lab):
    """In the name of a neighbour."""
    strange(lab, f"http://{THIRD}:5000/description.xml")


@once
def test_natd_hostile_flood_of_announcements(lab):
    """Thousands of NOTIFYs: natd stays with its gateway, asks for little, and is not kept busy."""
    street = Street(lab).start()
    street.mapped()
    sender = udp(street.bad, 0)
    text = SSDP_ANSWER.format(st="urn:schemas-upnp-org:device:InternetGatewayDevice:1", uuid=UUID,
                              location=f"http://{BAD}:5000/x.xml", boot="%d")
    text = text.replace("HTTP/1.1 200 OK", "NOTIFY * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\n"
                        "NTS: ssdp:alive").replace("ST:", "NT:")
    street.fake.seen.clear()
    for n in range(3000):
        sender.sendto((text % n).encode(), (SSDP_GROUP, SSDP_PORT))
        if n % 100 == 0:
            street.watch()
            time.sleep(0.02)
    time.sleep(1)
    asked = [x for x in street.fake.seen if x[0] == "upnp"]
    assert len(asked) < 20, len(asked)
    assert street.natd.mapping()["state"] == "mapped"
    assert list(street.fake.mappings) == [("tcp", 443)]
    street.kept_its_size()
    street.led_nowhere()
    street.ends()
