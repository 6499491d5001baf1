# SPDX-License-Identifier: Apache-2.0
"""Relays and agents that tell in time that their certificates end."""
import os
import re
import signal
import socket
import subprocess
import textwrap
import time

from console import console
from netlab import wait_until
from runner import once
from world import World

DAY = 86400
PEM = r"-----BEGIN {0}-----.*?-----END {0}-----"
CA = """[ca]
default_ca = it
[it]
database = {dir}/index
new_certs_dir = {dir}
rand_serial = yes
default_md = sha256
policy = any
[any]
commonName = optional
[extensions]
basicConstraints = CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = serverAuth,clientAuth
subjectAltName = {name}
"""


def openssl(*arguments):
    subprocess.run(["openssl", *arguments], check=True, timeout=30, capture_output=True)


def make_old(w, config, name, left_s):
    """Puts a certificate into a file that has a hundred days behind it and left_s before it."""
    with open(config, encoding="utf-8") as f:
        text = f.read()
    at = w.lab.path("old")
    os.makedirs(at, exist_ok=True)
    open(f"{at}/index", "w", encoding="utf-8").close()
    key = re.findall(PEM.format("PRIVATE KEY"), text, re.DOTALL)[0]
    w.lab.write("old/key.pem", textwrap.dedent("    " + key) + "\n")
    w.lab.write("old/ca.conf", CA.format(dir=at, name=name))
    moments = [time.strftime("%y%m%d%H%M%SZ", time.gmtime(time.time() + s))
               for s in (-100 * DAY, left_s)]
    openssl("req", "-new", "-key", f"{at}/key.pem", "-subj", "/CN=old", "-out", f"{at}/csr.pem")
    openssl("ca", "-batch", "-notext", "-config", f"{at}/ca.conf", "-cert", w.ca, "-keyfile",
            os.path.join(w.pki, "ca.key"), "-extensions", "extensions", "-startdate", moments[0],
            "-enddate", moments[1], "-in", f"{at}/csr.pem", "-out", f"{at}/cert.pem")
    with open(f"{at}/cert.pem", encoding="utf-8") as f:
        cert = textwrap.indent(f.read().strip(), "    ").strip()
    before, block = text.split("  certificate: |", 1)
    block = re.sub(PEM.format("CERTIFICATE"), cert, block, count=1, flags=re.DOTALL)
    with open(config, "w", encoding="utf-8") as f:
        f.write(before + "  certificate: |" + block)


def expiring(events):
    return [e for e in events["events"] if e["kind"] == "certificate.expiring"]


@once
def test_certificates_end(lab):
    """Both say so at the start, to the log, to consoles and to the service manager; then no more."""
    w = World(lab).two_homes()
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(lab.path("manager"))
    manager.settimeout(5)
    config = w.issue_relay()
    with open(config, encoding="utf-8") as f:
        good = f.read()
    make_old(w, config, "DNS:relay.example.org", 2 * DAY + 600)
    relay = w.start_relay(config)
    relay.wait_for_line(r"warning relay: the certificate expires in 2 days.*pki issue")
    bundle = w.issue_agent("home")
    make_old(w, bundle, "URI:postern:agent/home", DAY - 600)
    home = w.start_agent(w.home, bundle, "home", env={"NOTIFY_SOCKET": lab.path("manager")})
    home.wait_for_line(r"warning agent: the certificate expires in 23 hours")
    told = [manager.recv(4096).decode() for _ in range(2)]
    assert "READY=1" in told and any("STATUS=the certificate expires" in t for t in told), told
    manager.close()
    boss = console(w)
    assert [e["days"] for e in expiring(boss.json("relay", "events"))] == [3]
    assert [e["days"] for e in expiring(boss.json("agent", "events", "home"))] == [1]
    # A new one takes its place; nothing more is told.
    ends = boss.json("relay", "status")["certificate_expires"]
    with open(config, "w", encoding="utf-8") as f:
        f.write(good)
    relay.signal(signal.SIGHUP)
    wait_until("the new certificate",
               lambda: boss.json("relay", "status")["certificate_expires"] > ends + DAY, 5, 0.1)
    assert len(expiring(boss.json("relay", "events"))) == 1
