# SPDX-License-Identifier: Apache-2.0
"""postern-natd at a home's gateway: the whole path, once through each protocol."""
import signal
import time

from gateway import Gateway
from natd import Natd
from netlab import wait_until
from peers import echo


def home(lab, **options):
    lab.internet()
    server = lab.public("server", "45.0.0.2")
    router, host = lab.home("alice", "45.0.0.10", "192.168.77", ["host"])
    router.ip("route", "add", "default", "via", "45.0.0.2")
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
