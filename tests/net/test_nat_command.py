# SPDX-License-Identifier: Apache-2.0
"""'postern nat': what it tells with and without a running natd, and what its exit status says."""
import json

from natd import home
from runner import once
from test_stun_client import coturn

SERVER, OTHER = "45.0.0.2", "45.0.0.3"


def nat(host, *words, code=0, timeout=60.0):
    done = host.run([f"{host.lab.build}/postern", "nat", *words], check=False, timeout=timeout)
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
    for word in ("192.168.77.1", "MiniUPnPd", "mapped at 45.0.0.10:", "one nat", "port-restricted",
                 "reaches this host directly"):
        assert word in page, page
    assert page.count("\n") <= 24, page
