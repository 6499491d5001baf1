# SPDX-License-Identifier: Apache-2.0
"""Who is no console, and what a console may not do to itself by mistake."""
import shutil
import struct

from byhand import BYE, CONSOLE, TRANSIENT, SignIn
from console import console
from netlab import wait_until
from peers import echo
from rogue import WELCOME, pem
from runner import limit
from test_policy import reachable
from world import World, get_block, with_block

CERT_UNTRUSTED, CERT_ROLE = 3, 5


def test_console_by_an_agent(lab):
    """An agent's certificate on the control channel is refused by the relay, with any words."""
    w = World(lab).one_host()
    relay = w.relay()
    laptop = w.issue_agent("laptop")
    boss = console(w)
    for bundle, name, flags, reason in ((laptop, "laptop", CONSOLE, CERT_ROLE),
                                        (laptop, "laptop", CONSOLE | TRANSIENT, CERT_ROLE),
                                        (laptop, "boss", CONSOLE, CERT_ROLE),
                                        (boss.way[1], "other", CONSOLE, CERT_ROLE),
                                        (lab.path("relay.yaml"), "relay", CONSOLE, CERT_ROLE)):
        kind, body = SignIn(w.visitor, "45.0.0.2", bundle, name, flags).answer()
        assert kind == BYE and struct.unpack_from("!H", body)[0] == reason, (name, kind, body)
    assert relay.status()["refused_CERT_ROLE"] >= 5
    # And so that this proves something: the same by hand with a console's.
    signed_in = SignIn(w.visitor, "45.0.0.2", boss.way[1], "boss", CONSOLE)
    assert signed_in.answer()[0] == WELCOME
    signed_in.send(b'{"jsonrpc": "2.0", "id": 1, "method": "status"}\n')
    signed_in.until(rb'"relay": ?"relay"')


def indented(pems):
    return "".join(f"    {line}\n" for line in "".join(pems).splitlines())


def other_ca(w, old):
    """The next CA's certificate, which the first one has signed; and what makes a configuration one
    of that CA alone, with the key it had."""
    other = w.lab.path("other-pki")
    shutil.copytree(w.pki, other)
    w.tool("pki", "rotate", other, "ca")
    with open(f"{other}/ca.pem", encoding="utf-8") as f:
        ca = f.read().removesuffix(old)
    assert ca.count("BEGIN") == 1, ca

    def foreign(text):
        path = w.lab.path("foreign.yaml")
        with open(path, "w", encoding="utf-8") as f:
            f.write(with_ca(text, old + ca if indented([ca]) in text else old, ca))
        w.tool("pki", "renew", other, path)
        with open(path, encoding="utf-8") as f:
            return f.read()
    return foreign, ca


def stranger(w):
    """A CA that no CA in force has signed."""
    other = World(w.lab, pki="foreign-pki")
    with open(other.ca, encoding="utf-8") as f:
        return f.read()


def with_ca(text, old, *cas):
    """A configuration with these CAs and the certificate that it had."""
    assert indented([old]) in text, text
    return text.replace(indented([old]), indented(cas))


def refused_and_forced(w, boss, words, agent, old, works):
    """The same for a relay and an agent: (words) leads to its commands."""
    foreign, ca = other_ca(w, old)

    def apply(change, *options, check=True):
        path = boss.edited(change, agent=agent)
        to = (agent,) if agent else ()
        return boss.run(*words, "config", "apply", *to, path, *options, check=check)

    # All at once is no console's, whatever it forces; nor is a CA that none has signed.
    done = apply(foreign, "--force", check=False)
    assert done.returncode and "none of the CAs in force" in done.stderr, done.stderr
    done = apply(lambda text: with_ca(text, old, old, stranger(w)), "--force", check=False)
    assert done.returncode and "identity.ca: has a CA that none of those in force has signed" in \
        done.stderr, done.stderr
    done = apply(lambda text: with_ca(text, old, ca), check=False)
    assert done.returncode, "the first CA is taken away"
    assert works(), "a refused change did something"
    # Both CAs at a time are how one is replaced.
    apply(lambda text: with_ca(text, old, old, ca))
    assert works()
    done = apply(foreign, check=False)
    assert done.returncode and "cut you off" in done.stderr and "CA" in done.stderr, done.stderr
    # Forced, on trial: out, and back.
    apply(foreign, "--force", "--confirm-within", "2s", check=False)
    assert not works(), "the console's certificate is of a CA that is no longer known"
    wait_until("the old CA is back", works, 30, 0.2)
    apply(lambda text: with_ca(text, old + ca, old))
    assert works()


@limit(90)
def test_cut_off_relay(lab):
    """A change of a relay's CA that would cut off its own author."""
    w = World(lab).one_host()
    w.relay()
    boss = console(w)
    refused_and_forced(
        w, boss, ("relay",), None, pem(lab.path("relay.yaml"), "ca"),
        lambda: boss.run("relay", "status", check=False).returncode == 0)


@limit(120)
def test_cut_off_agent(lab):
    """The same of an agent's: of its CA, its name, and the relay that the console comes by."""
    w = World(lab).two_homes()
    w.home.serve(7000, echo)
    w.pair(7000, home_blocks={"retry_max": "1s"})
    boss = console(w)
    house = get_block(w.issue_agent("house"), "identity")
    for change in (lambda text: with_block(with_block(text, "name", "house"), "identity", house),
                   lambda text: with_block(text, "relays", "  - address: 45.0.0.9:443")):
        said = boss.refused("agent", "config", "apply", "home", boss.edited(change, agent="home"))
        assert "cut you off" in said, said
    refused_and_forced(
        w, boss, ("agent",), "home", pem(lab.path("home.yaml"), "ca"),
        lambda: boss.run("agent", "status", "home", check=False).returncode == 0)
    wait_until("sessions again", lambda: reachable(w.laptop), 20, 0.2)
