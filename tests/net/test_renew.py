# SPDX-License-Identifier: Apache-2.0
"""New keys for a relay and an agent that run: made where they are used, while a session goes on."""
import os
import signal
import time

from console import console
from netlab import wait_until
from peers import echo, need
from runner import limit, once
from test_policy import reachable, says
from world import World


def shown(w):
    """The serial number of the certificate that a stranger is shown."""
    done = w.visitor.run(["sh", "-c", f"{need('openssl')} s_client -connect relay.example.org:443 "
                          "-servername relay.example.org </dev/null 2>/dev/null | "
                          f"{need('openssl')} x509 -noout -serial"])
    return done.stdout.strip().split("=")[1].lower()


def serial_of(w, path):
    done = w.visitor.run([need("openssl"), "x509", "-noout", "-serial", "-in", path])
    return done.stdout.strip().split("=")[1].lower()


def state(lab, name):
    path = lab.path(name)
    os.mkdir(path, 0o700)
    return path


def keys_in(path):
    """The files of keys that were made, which nobody else may read."""
    files = sorted(f for f in os.listdir(path) if f.startswith("key-"))
    for f in files:
        mode = os.stat(os.path.join(path, f)).st_mode & 0o777
        assert mode == 0o600, f"{f} has mode {mode:o}"
        with open(os.path.join(path, f), encoding="ascii") as text:
            assert text.read().startswith("-----BEGIN PRIVATE KEY-----"), f
    return files


@limit(120)
def test_relay_renew(lab):
    w = World(lab).two_homes()
    where = state(lab, "relay-state")
    w.home.serve(7000, echo)
    relay = w.relay(blocks={"state_dir": where})
    w.agent(w.home, "home", publish={"echo": "127.0.0.1:7000"})
    w.agent(w.laptop, "laptop", forward={7000: "home/echo"})
    boss = console(w)
    first = shown(w)
    wait_until("a session", lambda: reachable(w.laptop), 10)
    with w.laptop.connect("127.0.0.1", 7000, timeout=20) as s:
        says(s)
        told = boss.run("relay", "renew", w.pki, "--expires", "90d").stdout
        assert "its key was made there, and stays there" in told, told
        wait_until("the new certificate", lambda: shown(w) != first, 5)
        says(s)  # the session knows nothing of it
        second = shown(w)
        assert keys_in(where) == ["key-identity-1.pem"]
        # Once more: of the keys the one in force is left.
        boss.run("relay", "renew", w.pki)
        wait_until("another one", lambda: shown(w) not in (first, second), 5)
        assert len(keys_in(where)) == 1, os.listdir(where)
        says(s)
    third = shown(w)
    # For a CA that is elsewhere, with the power lost in between.
    csr = lab.path("relay.csr")
    boss.run("relay", "request", "--out", csr)
    text = w.visitor.run([need("openssl"), "req", "-in", csr, "-noout", "-verify", "-text"])
    assert "DNS:relay.example.org" in text.stdout, text
    relay.process.ended_by_us = True
    relay.process.signal(signal.SIGKILL)
    relay.process.wait()
    relay = w.start_relay(relay.config)
    assert shown(w) == third
    certificate = lab.path("relay.pem")
    # Whose it becomes, who signs it says; the relay keeps to the names that it has.
    w.tool("pki", "sign", w.pki, "relay", "relay", csr, "--host", "x.example.org", "--out",
           certificate)
    assert "is not for relay.example.org" in boss.refused("relay", "certificate", certificate)
    other = lab.path("other")
    w.tool("pki", "init", other)
    w.tool("pki", "sign", other, "relay", "relay", csr, "--host", w.relay_name, "--out",
           certificate, "--force")
    assert "is not signed by identity.ca" in boss.refused("relay", "certificate", certificate)
    assert "was not signed by the CA in" in boss.refused("relay", "renew", other)
    w.tool("pki", "sign", w.pki, "relay", "relay", csr, "--host", w.relay_name, "--expires", "1s",
           "--out", certificate, "--force")
    time.sleep(2)
    assert "has ended" in boss.refused("relay", "certificate", certificate)
    assert shown(w) == third
    w.tool("pki", "sign", w.pki, "relay", "relay", csr, "--host", w.relay_name, "--out",
           certificate, "--force")
    boss.run("relay", "certificate", certificate)
    wait_until("what came back", lambda: shown(w) == serial_of(w, certificate), 5)
    # What it keeps is what it starts with, beside a file that has not changed.
    relay.process.signal(signal.SIGTERM)
    relay.process.wait()
    w.start_relay(relay.config)
    assert shown(w) == serial_of(w, certificate)
    wait_until("agents", lambda: reachable(w.laptop), 20)
    # 'config save' prints no certificate without its key.
    saved = boss.run("relay", "config", "save", relay.config).stdout
    assert "key in force was made" in saved, saved[:600]
    with open(relay.config, encoding="utf-8") as f:
        assert f.read().split("BEGIN PRIVATE KEY-----")[1].split()[0] in saved


@once
@limit(90)
def test_front_request(lab):
    """A certificate of any CA for the front door, by a request; as an ACME client would sign it."""
    w = World(lab).two_homes()
    where = state(lab, "relay-state")
    relay = w.relay(blocks={"state_dir": where})
    boss = console(w)
    w.agent(w.home, "home")
    csr, certificate, public = lab.path("f.csr"), lab.path("f.pem"), lab.path("public")
    w.tool("pki", "init", public)
    boss.run("relay", "request", "--front", "--out", csr)
    w.tool("pki", "sign", public, "relay", "front", csr, "--host", w.relay_name, "--out",
           certificate)
    # A key for the one is none for the other, which its next request might take away.
    own = lab.path("own.pem")
    w.tool("pki", "sign", w.pki, "relay", "relay", csr, "--host", w.relay_name, "--out", own)
    assert "a key that this relay does not have" in boss.refused("relay", "certificate", own)
    assert "would be cut off" in boss.refused("relay", "certificate", "--front", certificate)
    boss.run("relay", "certificate", "--front", certificate, "--force")
    wait_until("it is shown", lambda: shown(w) == serial_of(w, certificate), 5)
    assert keys_in(where) == ["key-front-1.pem"]
    relay.process.signal(signal.SIGTERM)
    relay.process.wait()
    w.start_relay(relay.config)
    assert shown(w) == serial_of(w, certificate)


@limit(90)
def test_agent_renew(lab):
    w = World(lab).two_homes()
    where = state(lab, "home-state")
    w.home.serve(7000, echo)
    w.relay()
    home = w.agent(w.home, "home", publish={"echo": "127.0.0.1:7000"}, blocks={"state_dir": where})
    w.agent(w.laptop, "laptop", forward={7000: "home/echo"})
    boss = console(w)
    wait_until("a session", lambda: reachable(w.laptop), 10)
    before = boss.json("agent", "status", "home")["certificate_expires"]
    with w.laptop.connect("127.0.0.1", 7000, timeout=20) as s:
        says(s)
        boss.run("agent", "renew", "home", w.pki, "--expires", "90d")
        after = boss.json("agent", "status", "home")["certificate_expires"]
        assert after > before + 30 * 86400, (before, after)
        says(s)
    wait_until("sessions by the new one", lambda: reachable(w.laptop), 10)
    home.signal(signal.SIGTERM)
    home.wait()
    w.start_agent(w.home, home.config, "home")
    wait_until("sessions after a start", lambda: reachable(w.laptop), 20)
    assert boss.json("agent", "status", "home")["certificate_expires"] == after
    # One that keeps nothing could not keep it.
    assert "has no state_dir" in boss.refused("agent", "renew", "laptop", w.pki)
