# SPDX-License-Identifier: Apache-2.0
"""'postern nat': what it tells with and without a running natd, and what its exit status says."""
import json
import os
import re
import signal

from natd import Natd, home, home_behind
from netlab import wait_until
from runner import once
from test_stun_client import coturn

SERVER, OTHER = "45.0.0.2", "45.0.0.3"


def nat(host, *words, code=0, timeout=60.0, env=None):
    done = host.run([f"{host.lab.build}/postern", "nat", *words], check=False, timeout=timeout,
                    env={"container": "", **(env or {})})
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    return done


def told(host, *words, **options):
    return json.loads(nat(host, *words, "--json", **options).stdout)


def protocols(found):
    return {p["protocol"]: p["state"] for p in found["protocols"] if p["family"] == "ipv4"}


# ---- probe, without natd ------------------------------------------------------------------------

@once
def test_nat_probe_alone(lab):
    """Everything on one page; the port that was tried is free again."""
    gateway, host, server = home(lab)
    coturn(lab, server, SERVER, OTHER)
    found = told(host, "probe", "--stun", SERVER)
    assert found["by"] == "trial" and found["reachable"], found
    assert protocols(found) == {"PCP": "available", "NAT-PMP": "available", "UPnP": "available"}
    assert found["external"]["verdict"] == "one_nat", found
    trial, = found["mappings"]
    assert trial["protocol"] == "udp" and trial["state"] == "verified", trial
    assert found["behaviour"]["nat"] == "port-restricted", found["behaviour"]
    assert gateway.mappings() == {}
    page = nat(host, "probe", "--stun", f"{SERVER}:3478").stdout
    for word in ("192.168.77.1", "MiniUPnPd", "mapped at 45.0.0.10:", "one NAT", "port-restricted",
                 "reaches this one directly"):
        assert word in page, page
    assert page.count("\n") <= 24, page


@once
def test_nat_probe_behind_a_provider(lab):
    """Another NAT is behind the gateway: said, with advice, and failed."""
    _, host, server = home_behind(lab, "100.64.7.7", "100.64.7")
    found = told(host, "probe", code=4)
    assert found["external"]["verdict"] == "double_nat" and not found["reachable"], found
    coturn(lab, server, SERVER, OTHER)
    page = nat(host, "probe", "--stun", SERVER, code=4).stdout
    assert "CGNAT: " in page and "advice" in page and "bridge mode" not in page, page


@once
def test_nat_probe_of_nothing(lab):
    """A gateway that speaks nothing, and then none at all."""
    gateway, host, _ = home(lab)
    gateway.stop()
    found = told(host, "probe", code=4)
    assert set(protocols(found).values()) == {"unavailable"}, found
    assert found["mappings"][0]["state"] == "unsupported", found
    assert "No port can be mapped" in nat(host, "probe", code=4).stdout
    host.ip("route", "del", "default")
    found = told(host, "probe", code=5)
    assert found["network"]["up"] is False and found["mappings"] == [], found


@once
def test_nat_probe_interrupted(lab):
    """The port that was tried is given back when the user interrupts the command."""
    gateway, host, _ = home(lab)
    gateway.router.nft('add rule inet filter input iifname "lan0" udp dport 1900 drop\n')
    probe = host.start([f"{lab.build}/postern", "nat", "probe"], "probe")
    wait_until("the trial's mapping", gateway.mappings)
    probe.signal(signal.SIGINT)
    assert probe.wait(10) == 1
    assert gateway.mappings() == {}
    assert "interrupted" in probe.log()


# ---- with natd ----------------------------------------------------------------------------------

@once
def test_nat_status_and_probe(lab):
    """Of a running natd: what it keeps, its own STUN servers, and nothing is tried beside it."""
    gateway, host, server = home(lab)
    coturn(lab, server, SERVER, OTHER)
    natd = Natd(host, "--map", "udp:5000", "--stun", f"{SERVER}:3478")
    natd.wait_state("verified", protocol="udp", port=5000)
    at = ("--socket", natd.socket)
    found = told(host, "status", *at)
    assert set(found) == set(natd.call("status")), found
    page = nat(host, "status", *at).stdout
    row = r"^udp 5000 +verified( \d+ \w+ ago)? +PCP +45\.0\.0\.10:5000 "
    assert re.search(row, page, re.MULTILINE), page
    assert "one NAT: " in page and "no IPv6 gateway" in page, page
    found = told(host, "probe", *at)
    assert (found["by"], found["reachable"]) == ("natd", True), found
    assert found["behaviour"]["server"] == f"{SERVER}:3478", found["behaviour"]
    assert set(gateway.mappings()) == {("udp", 5000)}
    assert "renews every mapping" in nat(host, "renew", *at).stdout
    assert natd.call("status")["counts"]["renewals"] >= 1


@once
def test_nat_status_of_nothing_mapped(lab):
    """natd wants a mapping and has none: printed, and failed."""
    gateway, host, _ = home(lab)
    gateway.stop()
    natd = Natd(host, "--map", "tcp:8080")
    natd.wait_state("unsupported", port=8080)
    page = nat(host, "status", "--socket", natd.socket, code=1).stdout
    assert "tcp 8080" in page and "unsupported" in page, page


@once
def test_nat_probe_beside_an_idle_natd(lab):
    """A natd that keeps nothing cannot show that mapping works: it is tried."""
    gateway, host, _ = home(lab)
    natd = Natd(host)
    found = told(host, "probe", "--socket", natd.socket, code=3)
    assert found["by"] == "trial" and found["reachable"], found
    assert gateway.mappings() == {}


@once
def test_nat_dry_run(lab):
    """What would be asked of whom, and nothing is: no mapping, no file, no socket."""
    gateway, host, _ = home(lab)
    kept = lab.path("kept")
    os.mkdir(kept)

    def dry(*words, code):
        done = host.run([f"{lab.build}/postern-natd", "--dry-run", "--socket", lab.path("dry.sock"),
                         "--state-dir", kept, *words], check=False, timeout=40)
        assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
        assert "nothing was mapped, deleted or written" in done.stdout, done.stdout
        assert os.listdir(kept) == [] and not os.path.exists(lab.path("dry.sock"))
        assert gateway.mappings() == {}
        return done.stdout

    said = dry("--map", "tcp:443:8443", "--map", "udp:5000:any", code=0)
    assert ("tcp 443 -> 8443: asks 192.168.77.1:5351 by PCP for external port 8443, for 7200 s; "
            "where that fails NAT-PMP, UPnP\n") in said, said
    assert "udp 5000: asks 192.168.77.1:5351 by PCP for external port 5000 or another one" in said
    assert "udp 5000 (IPv6): there is nobody to ask: this network has no IPv6 gateway" in said
    file = lab.write("dry.yaml", "allow: [{user: '33', ports: [8000-8009]}]\n")
    said = dry("-c", file, code=0)
    assert "user 33 may ask for tcp and udp ports 8000-8009, 16 mappings at a time" in said, said
    gateway.stop()
    said = dry("--map", "tcp:443", code=1)
    assert "tcp 443: there is nobody to ask: PCP: " in said and "; UPnP: " in said, said


def events(process):
    """What a watch has printed, one object a line."""
    return [json.loads(line) for line in process.log().splitlines() if line.startswith("{")]


@once
def test_nat_watch(lab):
    """Status, events, and again from the status on when natd has been restarted."""
    gateway, host, _ = home(lab)
    natd = Natd(host, "--map", "tcp:8080")
    natd.wait_mapped("tcp:8080")
    watch = host.start([f"{lab.build}/postern", "nat", "watch", "--json", "--socket", natd.socket],
                       "watch")
    watch.ended_by_us = True

    def kinds():
        return [e["kind"] for e in events(watch)]

    wait_until("the status", lambda: kinds()[:1] == ["status"])
    gateway.reboot()
    wait_until("the reboot", lambda: "mapping" in kinds() or "protocol" in kinds())
    natd.stop()
    wait_until("the end of natd", lambda: "lost" in kinds())
    again = Natd(host, "--map", "tcp:8080")
    wait_until("natd's return", lambda: {"back", "status"} <=
               set(kinds()[kinds().index("lost"):]))
    again.wait_mapped("tcp:8080")
    wait_until("its mapping", lambda: any(
        e["kind"] == "mapping" and e["state"] == "mapped" or
        e["kind"] == "status" and e["mappings"][0]["state"] == "mapped"
        for e in events(watch)[kinds().index("back"):]))
    watch.signal(signal.SIGTERM)
    watch.wait()


@once
def test_nat_words(lab):
    """Without natd, and with words that lead to none: what to do is said."""
    lab.internet()
    host = lab.public("host", SERVER)
    for command in ("status", "watch", "renew"):
        said = nat(host, command, code=1).stderr
        assert "is postern-natd running?" in said and "systemctl start postern-natd" in said, said
    said = nat(host, "probe", "--socket", "/none", code=1).stderr
    assert "postern-natd --socket /none --map" in said and "without --socket" in said, said
    for words in (("status", "--as", "x"), ("probe", "--stun", "a b"), ("probe", "x"),
                  ("probe", *["--stun", "h"] * 5)):
        assert "usage: postern nat " in nat(host, *words, code=2).stderr, words


@once
def test_natd_check(lab):
    """--check finds what the start would fail for, and tells what it goes on without."""
    lab.internet()
    host = lab.public("host", SERVER)

    def check(*words, code=0):
        done = host.run([f"{host.lab.build}/postern-natd", "--check", *words], check=False)
        assert done.returncode == code, (words, done.returncode, done.stdout, done.stderr)
        assert ("the command line: ok" in done.stdout) == (code == 0), (words, done.stdout)
        return done.stderr

    place = lab.write("place", "")
    assert "warning" not in check("--map", "tcp:443", "--state-dir", lab.dir, "--socket", f"{lab.dir}/s")
    empty = lab.write("empty.yaml", "map: []\n")
    done = host.run([f"{host.lab.build}/postern-natd", "--check", "-c", empty], check=False)
    assert done.returncode == 0 and "no mapping is named" in done.stderr, done
    assert "/nowhere: No such file" in check("--map", "tcp:443", "--socket", "/nowhere/s")
    for hook in ("/nowhere", "/bin/echo hi"):
        assert "cannot be run: No such file" in check("--map", "tcp:443", "--hook", hook)
    for directory, why in (("/nowhere", "No such file"), (place, "Not a directory")):
        assert f"state_dir: {directory}: {why}" in check("--state-dir", directory, code=1)
    config = lab.write("natd.yaml", "user: nosuchuser\n")
    done = host.run([f"{host.lab.build}/postern-natd", "--check", "-c", config], check=False)
    assert done.returncode == 1 and "there is no user nosuchuser" in done.stderr, done
    config = lab.write("natd.yaml", f"user: nobody\nstate_dir: {lab.dir}\n")
    os.chmod(lab.dir, 0o700)
    done = host.run([f"{host.lab.build}/postern-natd", "--check", "-c", config], check=False)
    assert done.returncode == 1 and "Permission denied" in done.stderr, done
