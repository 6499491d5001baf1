# SPDX-License-Identifier: Apache-2.0
"""A relay that was taken over gains nothing: the agent asks again, and believes certificates."""
import json
import signal
import ssl

from console import console
from peers import echo
from rogue import NOT_ALLOWED, OK, PROTOCOL, RogueRelay
from world import World, set_blocks

CONTROL = "postern/control"
STATUS = b'{"jsonrpc": "2.0", "id": 1, "method": "status"}\n'


def under_a_rogue(lab):
    """home, which allows friend alone, below a relay that lets everything through."""
    w = World(lab).two_homes()
    w.home.serve(7000, echo)
    rogue = RogueRelay(w.relay_host, w.issue_relay())
    home = w.agent(w.home, "home", publish={"echo": "127.0.0.1:7000"}, allow={"echo": ["friend"]})
    return w, rogue, home


def opens(rogue, bundle):
    try:
        return rogue.ask(bundle, CONTROL, "boss")[0] == OK
    except OSError:
        return False  # not let through the handshake


def test_rogue_control(lab):
    """No agent's certificate opens another's control service, under any name that the relay tells."""
    w, rogue, home = under_a_rogue(lab)
    boss, laptop = console(w), w.issue_agent("laptop")
    for sender in ("boss", "laptop", "home"):
        reason, text, _ = rogue.ask(laptop, CONTROL, sender)
        assert reason == NOT_ALLOWED and "consoles only" in text, (sender, reason, text)
    # By another service's name on the outside, as the relay sees it.
    reason, text, _ = rogue.ask(laptop, "echo", "boss", CONTROL)
    assert reason != OK, text
    # A relay's own certificate is no console's; nor is one of another CA's console of that name.
    other = World(lab, pki="other-pki")
    stranger = lab.path("stranger.yaml")
    other.tool("pki", "issue", other.pki, "console", "boss", "--relay", "relay.example.org:443",
               "--out", stranger)
    for bundle in (lab.path("relay.yaml"), stranger):
        assert not opens(rogue, bundle), bundle
    # And so that all this proves something: the console's certificate does open it.
    reason, text, inside = rogue.ask(boss.way[1], CONTROL, "boss")
    assert reason == OK, text
    inside.write(STATUS)
    assert json.loads(inside.line())["result"]["agent"] == "home"
    assert home.alive()


def test_rogue_services(lab):
    """What an agent publishes for some is for those, and what is not public is for none of them."""
    w, rogue, home = under_a_rogue(lab)
    laptop, friend = w.issue_agent("laptop"), w.issue_agent("friend")
    reason, text, _ = rogue.ask(laptop, "echo", "friend")
    assert reason == NOT_ALLOWED and "itself does not allow" in text, (reason, text)
    console(w)
    reason, text, _ = rogue.ask(lab.path("boss.yaml"), "echo", "friend")
    assert reason != OK, f"a console's certificate opens a service: {text}"
    assert rogue.offer("", "echo", kind=1) == NOT_ALLOWED, "not public, and open to all"
    reason, text, _ = rogue.ask(friend, "echo", "friend", "other")
    assert reason == PROTOCOL, text
    reason, text, inside = rogue.ask(friend, "echo", "laptop")
    assert reason == OK, text
    inside.write(b"hello\n")
    assert inside.line() == b"hello\n"
    assert home.alive()


def test_rogue_bytes(lab):
    """What a relay changes on its way arrives nowhere: the session is over, at both ends."""
    w, rogue, home = under_a_rogue(lab)
    heard = []

    def hears(sock, _peer):
        while got := sock.recv(4096):
            heard.append(got)
            sock.sendall(got)

    w.home.serve(7001, hears)
    set_blocks(home.config, {"publish": "[{service: echo, target: '127.0.0.1:7001'}]"})
    home.signal(signal.SIGHUP)
    home.wait_for_line(r"configuration revision=\d+ by SIGHUP")
    friend = w.issue_agent("friend")
    for at in (-1, 20, 0):  # of the tag, of what is sealed, of the record's head
        _reason, _text, inside = rogue.ask(friend, "echo", "friend")
        inside.write(b"hello\n")
        assert inside.line() == b"hello\n"
        inside.tls.write(b"pay alice\n")
        wire = bytearray(inside.outgoing.read())
        wire[at] ^= 1
        inside.sock.settimeout(10)
        inside.sock.sendall(wire)
        try:
            raise AssertionError(f"the agent answers {inside.line()!r}")
        except (ConnectionResetError, ssl.SSLError):
            pass
        home.wait_for_line(r"session: closed .*ending=", 10)
        home.remember()
    assert heard == [b"hello\n"] * 3, heard
