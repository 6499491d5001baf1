# SPDX-License-Identifier: Apache-2.0
"""Nothing outlives its right: a certificate that ends, a CA that is taken away, a rule that goes. Link
and sessions end within a second, at the relay and at the agents, each of which says why."""
import re
import signal
import time

from netlab import wait_until
from peers import echo, ends
from runner import limit, once
from rogue import pem
from test_cutoff import indented, with_ca
from test_expiry import make_old
from test_policy import live_session
from world import World, set_blocks

AT_ONCE_S = 2.5  # a second, the one that moments are rounded to, and a machine with other work
NAME = "URI:postern:agent/laptop"


class Cast:
    """home publishes echo; laptop has a session with it in which bytes flow."""

    def __init__(self, lab, relay_blocks=None):
        self.w = World(lab).two_homes()
        self.w.home.serve(7000, echo)
        self.relay_file = self.w.issue_relay(blocks=relay_blocks)
        self.home_file = self.w.issue_agent("home", publish={"echo": "127.0.0.1:7000"})
        self.laptop_file = self.w.issue_agent("laptop", forward={7000: "home/echo"})

    def start(self):
        self.relay = self.w.start_relay(self.relay_file)
        self.home = self.w.start_agent(self.w.home, self.home_file, "home")
        self.laptop = self.w.start_agent(self.w.laptop, self.laptop_file, "laptop", forwards=1)

    def remember(self):
        for program in (self.relay, self.home, self.laptop):
            program.remember()

    def ends_within(self, sock, most_s, since):
        """The session ends; how long after that moment."""
        assert ends(sock, most_s), "a session goes on without its right"
        late = time.time() - since
        print(f"the session ended {late:.2f} s after its right")
        assert -1.5 < late < AT_ONCE_S, f"{late:.2f} s"


@once
@limit(90)
def test_a_certificate_that_ends(lab):
    """laptop's, while it talks."""
    c = Cast(lab)
    left = 12
    moment = time.time() + left
    make_old(c.w, c.laptop_file, NAME, left)
    c.start()
    with live_session(c.w.laptop) as s:
        c.remember()
        c.ends_within(s, left + 5, moment)
    c.relay.wait_for_line(r"link: agent=laptop may not go on: CERT_EXPIRED", 3)
    # The relay itself, or home before it; or laptop, whose link is gone by then, so that it cannot
    # say why.
    c.relay.wait_for_line(r"closed session=.* from=laptop .*ending=([SAP].F|ADR) ", 3)
    c.laptop.wait_for_line(r"link: down .*expired", 3)
    c.home.wait_for_line(r"session: closed .*ending=", 3)
    assert re.search(r"(closed .*ending=S.F|is ended: .*expired)", c.home.log()) or \
        re.search(r"closed .*ending=F", c.home.log()), c.home.tail()


def replace(path, change):
    with open(path, encoding="utf-8") as f:
        text = f.read()
    with open(path, "w", encoding="utf-8") as f:
        f.write(change(text))


@once
@limit(90)
def test_a_ca_that_is_taken_away(lab):
    """laptop's certificate is of a second CA, which everybody trusts until the relay does not; then,
    of a relay that does, home does not."""
    c = Cast(lab)
    first = pem(c.relay_file, "ca")
    other = World(lab, pki="other-pki")
    with open(other.ca, encoding="utf-8") as f:
        second = f.read()
    for path in (c.relay_file, c.home_file, c.laptop_file):
        replace(path, lambda text: with_ca(text, first, first, second))
    make_old(other, c.laptop_file, NAME, 30 * 86400)
    c.start()
    with live_session(c.w.laptop) as s:
        c.remember()
        since = time.time()
        replace(c.relay_file, lambda text: text.replace(indented([second]), ""))
        c.relay.signal(signal.SIGHUP)
        c.ends_within(s, 5, since)
    c.relay.wait_for_line(r"link: agent=laptop may not go on: CERT_UNTRUSTED", 3)
    c.relay.wait_for_line(r"closed session=.* from=laptop .*ending=S.A ", 3)
    c.laptop.wait_for_line(r"link: .*not signed by this relay's CA", 3)
    c.home.wait_for_line(r"session: closed .*ending=F", 3)
    # The relay trusts it again, and home does not any more.
    replace(c.relay_file, lambda text: with_ca(text, first, first, second))
    c.relay.signal(signal.SIGHUP)
    c.laptop.signal(signal.SIGTERM)
    assert c.laptop.wait() == 0
    c.laptop = c.w.start_agent(c.w.laptop, c.laptop_file, "again", forwards=1)
    with live_session(c.w.laptop) as s:
        c.remember()
        since = time.time()
        replace(c.home_file, lambda text: text.replace(indented([second]), ""))
        c.home.signal(signal.SIGHUP)
        c.ends_within(s, 5, since)
    c.home.wait_for_line(r"agent=laptop service=echo is ended: ", 3)
    c.home.wait_for_line(r"session: closed .*ending=S.A ", 3)
    # No word of the relay's own, who trusts it: home's word is on record, and told.
    c.relay.wait_for_line(r'closed session=.*ending=P.A reason="the publishing agent ended it: ', 3)
    c.laptop.wait_for_line(r"session: closed .*ending=F.A reason=the publishing agent ended it: ", 3)


@once
@limit(90)
def test_a_rule_that_goes(lab):
    """From the relay's file, by SIGHUP; and from home's allow list."""
    rule = '\n  - from: [laptop]\n    to: ["home/echo"]'
    c = Cast(lab, relay_blocks={"policy": rule})
    c.start()
    with live_session(c.w.laptop) as s:
        c.remember()
        since = time.time()
        set_blocks(c.relay_file, {"policy": "[]"})
        c.relay.signal(signal.SIGHUP)
        c.ends_within(s, 5, since)
    c.relay.wait_for_line(r"closed session=.* from=laptop .*ending=S.C ", 3)
    for agent in (c.laptop, c.home):
        agent.wait_for_line(r"session: closed .*ending=F", 3)
    set_blocks(c.relay_file, {"policy": rule})
    c.relay.remember()
    c.relay.signal(signal.SIGHUP)

    def again():
        try:
            return live_session(c.w.laptop)
        except (OSError, AssertionError):
            return None

    with wait_until("the rule is back", again, 10, 0.3) as s:
        c.remember()
        since = time.time()
        replace(c.home_file, lambda text: re.sub(r"(\n( *)- service: echo\n)",
                                                 r"\1\2  allow: [friend]\n", text))
        c.home.signal(signal.SIGHUP)
        c.ends_within(s, 5, since)
    c.home.wait_for_line(r"agent=laptop service=echo is ended: ", 3)
    c.relay.wait_for_line(r'closed session=.*ending=P.N reason="the publishing agent ended it: ', 3)
    c.laptop.wait_for_line(r"session: closed .*ending=F.N reason=the publishing agent ended it: ", 3)
