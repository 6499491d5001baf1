# SPDX-License-Identifier: Apache-2.0
"""Extensions that a side does not know: skipped where they may be, refused by name elsewhere."""
import struct

from byhand import BYE, TRANSIENT, SignIn, WarmLeg
from peers import echo
from rogue import (EXTENSION, GO, OFFER, OK, PING, PONG, READY, REQUEST, WELCOME, RogueRelay,
                   frame, text8)
from world import World

REVOKED, OPEN, FAIL, AGENT_OFFLINE = 0x0b, 0x12, 0x15, 9
HARMLESS = ((1, b"a" * 40), (0x7FFF, b""))
CRITICAL = ((1, b"a"), (0x8001, b"now"))


def said(body):
    """Reason and text of BYE, FAIL and RESULT."""
    reason, length = struct.unpack_from("!HH", body)
    return reason, body[4:4 + length].decode()


def test_extensions_at_a_relay(lab):
    """HELLO, PING and OPEN by hand; behind a refused OPEN the leg serves the next."""
    w = World(lab).one_host()
    relay = w.relay()
    laptop = w.issue_agent("laptop")
    before = relay.status().get("refused_EXTENSION", 0)
    kind, body = SignIn(w.visitor, "45.0.0.2", laptop, "laptop", TRANSIENT, CRITICAL).answer()
    assert kind == BYE and said(body) == (
        EXTENSION, "this relay does not know extension 0x8001 of HELLO; update it"), (kind, body)
    link = SignIn(w.visitor, "45.0.0.2", laptop, "laptop", TRANSIENT, HARMLESS)
    kind, welcome = link.answer()
    assert kind == WELCOME and welcome[-1] == 0, (kind, welcome)
    leg = WarmLeg(w.visitor, "45.0.0.2", laptop, welcome)
    assert leg.answer()[0] == READY
    wanted = text8("nobody") + text8("echo")
    for extensions, reason in ((CRITICAL, EXTENSION), (HARMLESS, AGENT_OFFLINE),
                               (CRITICAL, EXTENSION), ((), AGENT_OFFLINE)):
        leg.send(frame(OPEN, wanted, extensions))
        kind, body = leg.answer()
        assert kind == FAIL and said(body)[0] == reason, (extensions, kind, body)
        assert ("0x8001 of OPEN" in said(body)[1]) == (reason == EXTENSION), body
    token = struct.pack("!Q", 77)
    link.send(frame(PING, token, HARMLESS))
    kind, body = link.answer()
    if kind == REVOKED:  # the list, which a link is told first
        kind, body = link.answer()
    # Padded, so that keep-alives differ in size.
    assert kind == PONG and body[:8] == token and body[8:9] in (b"\0", b"\1"), (kind, body)
    link.send(frame(PING, token, CRITICAL))
    kind, body = link.answer()
    assert kind == BYE and said(body) == (
        EXTENSION, "this relay does not know extension 0x8001 of PING; update it"), (kind, body)
    assert relay.status()["refused_EXTENSION"] == before + 4


def test_extensions_at_an_agent(lab):
    """OFFER and REQUEST are refused by name and the link goes on; then PONG and WELCOME end it."""
    w = World(lab).two_homes()
    w.home.serve(7000, echo)
    rogue = RogueRelay(w.relay_host, w.issue_relay())
    for kind in (WELCOME, OFFER, GO, REQUEST, PONG):
        rogue.extensions[kind] = HARMLESS
    home = w.agent(w.home, "home", publish={"echo": "127.0.0.1:7000"},
                   blocks={"retry_max": "1s"})
    laptop = w.issue_agent("laptop")

    def works():
        reason, text, inside = rogue.ask(laptop, "echo", "laptop")
        assert reason == OK, text
        inside.write(b"hello\n")
        assert inside.line() == b"hello\n"

    works()
    rogue.extensions[REQUEST] = CRITICAL
    reason, text, _ = rogue.ask(laptop, "echo", "laptop")
    assert (reason, text) == (EXTENSION, "the publishing agent does not know extension 0x8001 of "
                                         "REQUEST; update it")
    rogue.extensions[REQUEST] = HARMLESS
    works()
    rogue.extensions[OFFER] = CRITICAL
    for kind in (0, 1):
        refused = rogue.refuse("" if kind else "laptop", "echo", kind)
        assert refused == (rogue.sessions, EXTENSION, "the publishing agent does not know "
                           "extension 0x8001 of OFFER; update it"), refused
    rogue.extensions[OFFER] = HARMLESS
    works()
    rogue.extensions[GO] = CRITICAL
    assert rogue.gives_up("laptop", "echo"), "a session began behind a GO that is not understood"
    rogue.extensions[GO] = HARMLESS
    works()
    # What has no answer that says no ends the link, and the relay hears why.
    rogue.link.say(PING, bytes(8), HARMLESS)
    rogue.extensions[WELCOME] = CRITICAL
    rogue.link.say(PING, bytes(8), CRITICAL)
    for message in ("PING", "WELCOME"):
        bye = rogue.byes.get(timeout=20)
        assert bye == (EXTENSION, f"this agent does not know extension 0x8001 of {message}; "
                                  "update it"), bye
    home.wait_for_line(r"0x8001 of WELCOME; update it", 5)
    assert home.alive()
