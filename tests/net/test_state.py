# SPDX-License-Identifier: Apache-2.0
"""state_dir: what a console applied is there after the next start, whole or not at all, however the
program ended; without it nothing is."""
import json
import os
import random
import re
import signal
import threading

from console import console
from netlab import wait_until
from peers import echo
from runner import limit, once
from test_managed import publishing
from test_policy import reachable
from world import World, set_blocks, with_block, write_private

KILLS = 15


def restarted(w, agent, number=signal.SIGTERM):
    agent.signal(number)
    agent.wait()
    return w.start_agent(w.home, agent.config, "home")


def home_and_console(lab, blocks=None):
    w = World(lab).two_homes()
    w.home.serve(7000, echo)
    w.relay()
    home = w.agent(w.home, "home", publish={"echo": "127.0.0.1:7000"}, blocks=blocks)
    w.agent(w.laptop, "laptop", forward={7000: "home/more"})
    return w, home, console(w)


def state(lab, name):
    path = lab.path(name)
    os.mkdir(path, 0o700)
    return path


def test_state_of_agent(lab):
    """What was confirmed survives, beside an edited file too; a trial does not."""
    where = state(lab, "home-state")
    w, home, boss = home_and_console(lab, {"state_dir": where})
    boss.run("agent", "config", "apply", "home",
             boss.edited(publishing(echo=7000, more=7000), agent="home"))
    assert reachable(w.laptop)
    boss.run("agent", "config", "apply", "home", boss.edited(publishing(echo=7000), agent="home"),
             "--confirm-within", "60s")
    assert not reachable(w.laptop)
    home = restarted(w, home)
    wait_until("what was applied, and not what was on trial", lambda: reachable(w.laptop), 5)
    home = restarted(w, home, signal.SIGKILL)
    wait_until("the same after a second start", lambda: reachable(w.laptop), 5)
    assert "key: (hidden)" in boss.run("agent", "config", "get", "home").stdout
    for file in os.listdir(where):
        mode = os.stat(os.path.join(where, file)).st_mode & 0o777
        assert mode == 0o600, f"{file}, which holds a key, has mode {mode:o}"
    set_blocks(home.config, {"max_sessions": "500"})
    home = restarted(w, home)
    wait_until("what a console did, beside an edit elsewhere in the file",
               lambda: reachable(w.laptop), 5)
    assert "max_sessions: 500" in boss.run("agent", "config", "get", "home").stdout
    # SIGHUP, by the same rule; the editor writes a new file in the old one's place.
    with open(home.config, encoding="utf-8") as f:
        text = f.read()
    replacement = home.config + ".new"
    write_private(replacement, with_block(text, "max_sessions", "600"))
    os.rename(replacement, home.config)
    home.signal(signal.SIGHUP)
    home.wait_for_line(r"configuration revision=\d+ by SIGHUP")
    assert "max_sessions: 600" in boss.run("agent", "config", "get", "home").stdout
    assert reachable(w.laptop)
    set_blocks(home.config, {"max_sessions": "many"})
    home.signal(signal.SIGHUP)
    home.wait_for_line(r"error.*not in force")
    assert reachable(w.laptop)


def test_config_save(lab):
    """The file that 'config save' prints does alone what file and consoles did together."""
    w, home, boss = home_and_console(lab)
    boss.run("agent", "config", "apply", "home",
             boss.edited(publishing(echo=7000, more=7000), agent="home"))
    assert "(hidden)" in boss.run("agent", "config", "save", "home").stdout
    with open(home.config, encoding="utf-8") as f:
        mine = boss.host.lab.write("mine.yaml", f.read())
    saved = boss.run("agent", "config", "save", "home", mine).stdout
    assert "(hidden)" not in saved
    with open(home.config, "w", encoding="utf-8") as f:
        f.write(saved)
    restarted(w, home)
    wait_until("what was saved", lambda: reachable(w.laptop), 5)
    another = w.issue_relay("another")  # of no use for the agent
    refused = boss.run("agent", "config", "save", "home", another, check=False)
    assert refused.returncode, refused


def test_state_of_agent_without(lab):
    """Without state_dir nothing is written, and a restart brings the file back."""
    w, home, boss = home_and_console(lab)
    before = sorted(os.listdir(lab.dir))
    boss.run("agent", "config", "apply", "home",
             boss.edited(publishing(echo=7000, more=7000), "edit.yaml", agent="home"))
    assert reachable(w.laptop)
    assert set(os.listdir(lab.dir)) - set(before) <= {"edit.yaml"}
    restarted(w, home)
    assert not reachable(w.laptop)


@once
@limit(90)
def test_state_that_is_large(lab):
    """A configuration near the largest is kept, twice over: as the file has it and as it is."""
    w = World(lab).one_host()
    names = "\n".join(f"  - agent: gone-{n}\n    note: {'x' * 180}" for n in range(16000))
    config = w.issue_relay(blocks={"state_dir": state(lab, "relay-state"), "revoked": names})
    assert os.path.getsize(config) > 3 << 20
    relay = w.start_relay(config)
    boss = console(w)
    boss.run("grant", "late", "home/echo", timeout=60)
    assert "not kept" not in relay.log(), relay.log()[-500:]
    relay.process.kill()
    relay = w.start_relay(config)
    assert "late" in str(boss.json("grants", timeout=60)["grants"])


def test_reload_of_what_is_no_file(lab):
    """A pipe in a file's place: neither relay nor agent waits for a writer."""
    w = World(lab).two_homes()
    w.home.serve(7000, echo)
    relay, home, _laptop = w.pair(7000)
    for program, path in ((relay, relay.config), (home, home.config)):
        os.unlink(path)
        os.mkfifo(path)
        program.signal(signal.SIGHUP)
        program.wait_for_line(r"(not in force: it is|config: .*is) no regular file")
    assert reachable(w.laptop)


# ---- killed in the middle -----------------------------------------------------------------------

class Applier:
    """Applies 1001, 1002, ... as fast as it can, as one value of a configuration, until it fails;
    knows the last that was answered."""

    def __init__(self, boss, words, text, change):
        self.boss, self.words, self.text, self.change = boss, words, text, change
        self.done, self.asked, self.thread = 1000, 1000, None

    def start(self):
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while True:
            self.asked += 1
            path = self.boss.host.lab.write("next.yaml", self.change(self.text, self.asked))
            if self.boss.run(*self.words, path, check=False).returncode:
                return
            self.done = self.asked


def kill_in_the_middle(applier, current, kill_and_start):
    """After each kill the value in force is the last one answered, or the one that was asked."""
    found = []
    for n in range(KILLS):
        applier.start()
        first = applier.done
        wait_until("some are applied", lambda f=first: applier.done >= f + 2, 20, 0.001)
        threading.Event().wait(random.Random(n).random() * 0.03)
        kill_and_start(applier)
        value = current()
        found.append(value - applier.done)
        assert value in (applier.done, applier.asked), \
            f"kill {n}: {value} is in force; {applier.done} was answered, {applier.asked} asked"
        applier.done = applier.asked
    print(f"{applier.done - 1000} applied, {KILLS} kills; ahead of the answer: {found}")


def number_in(text, key):
    return int(re.search(rf"{key}: (\d+)", text).group(1))


def without_revision(text):
    """So that nothing is refused for having been made from another one."""
    return re.sub(r"^# revision.*\n", "", text)


@limit(120)
def test_state_killed_relay(lab):
    """A relay that is killed while it keeps one configuration after the other."""
    w = World(lab).one_host()
    where = state(lab, "relay-state")
    config = w.issue_relay(blocks={"state_dir": where, "limits": "  per_source: 1000"})
    relay = [w.start_relay(config)]
    boss = console(w)

    def change(text, number):
        return with_block(text, "limits", f"  per_source: {number}")

    def kill_and_start(applier):
        relay[0].process.kill()
        applier.thread.join(30)
        for file in os.listdir(where):
            if not file.startswith("."):
                with open(os.path.join(where, file), encoding="utf-8") as f:
                    json.load(f)  # whole
        relay[0] = w.start_relay(config)

    applier = Applier(boss, ("relay", "config", "apply"),
                      without_revision(boss.run("relay", "config", "get").stdout), change)
    kill_in_the_middle(
        applier, lambda: number_in(boss.run("relay", "config", "get").stdout, "per_source"),
        kill_and_start)
    assert len(os.listdir(where)) <= 2, os.listdir(where)


@limit(120)
def test_state_killed_agent(lab):
    """The same for an agent."""
    w, home, boss = home_and_console(
        lab, {"state_dir": state(lab, "home-state"), "max_sessions": "1000"})
    agent = [home]

    def change(text, number):
        return with_block(text, "max_sessions", number)

    def kill_and_start(applier):
        agent[0].kill()
        applier.thread.join(30)
        agent[0] = w.start_agent(w.home, home.config, "home")

    applier = Applier(boss, ("agent", "config", "apply", "home"),
                      without_revision(boss.run("agent", "config", "get", "home").stdout), change)
    kill_in_the_middle(applier, lambda: number_in(
        boss.run("agent", "config", "get", "home").stdout, "max_sessions"), kill_and_start)
