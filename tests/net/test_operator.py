# SPDX-License-Identifier: Apache-2.0
"""The operator's command: a day's work from afar."""
import json
import os
import re
import time

from netlab import wait_until
from peers import echo, ends
from runner import limit
from world import World


class Console:
    """postern --as ops.yaml, run on one host."""

    def __init__(self, world, host):
        self.lab, self.host = world.lab, host
        self.file = self.lab.path("ops.yaml")
        world.tool("pki", "issue", world.pki, "console", "ops", "--relay",
                   f"{world.relay_name}:{world.relay_port}", "--out", self.file)

    def __call__(self, *words, check=True, input=b""):
        done = self.host.run([f"{self.lab.build}/postern", "--as", self.file, *words],
                             input=input, check=check)
        return done.stdout if check else done

    def json(self, *words):
        return json.loads(self(*words, "--json"))

    def refused(self, *words, status=1, input=b""):
        done = self(*words, check=False, input=input)
        assert done.returncode == status, (words, done.returncode, done.stdout, done.stderr)
        return done.stderr


def day(lab):
    w = World(lab).two_homes()
    w.home.serve(7000, echo)
    w.pair(7000)
    return w, Console(w, w.laptop)


@limit(90)
def test_operators_day(lab):
    w, postern = day(lab)
    checked = postern("check")
    version = postern("--version").splitlines()
    assert "BoringSSL of 20" in version[1] and version[1] in checked, (version, checked)
    assert "keys by X25519" in checked, checked
    assert "sign-in" in checked and "has stun.enabled: false" in checked, checked
    assert "serving" in postern("relay", "status")
    agents = {a["agent"]: a for a in postern.json("relay", "agents")["agents"]}
    assert agents["home"]["services"] == ["echo"] and agents["laptop"]["online"], agents

    # Read, change, try, keep.
    got = postern("relay", "config", "get")
    assert got.startswith("# revision 1\n") and "key: (hidden)" in got, got[:80]
    changed = got.replace("\nlisten:", "\ndrain: 7s\nlisten:", 1).encode()
    assert "+ drain: 7s" in postern("relay", "config", "diff", "-", input=changed)
    said = postern("relay", "config", "apply", "-", "--confirm-within", "60s", input=changed)
    assert "revision 2" in said and "relay config confirm" in said, said
    assert postern.json("relay", "status")["unconfirmed_ms"] > 50000
    assert "revision 2" in postern("relay", "config", "confirm")
    said = postern.refused("relay", "config", "apply", "-", input=got.encode())
    assert "made from 1" in said and "- drain: 7s" in said, said
    said = postern.refused("relay", "config", "check", "-", input=got.replace(
        "\nlisten:", "\nlisten_on: x\nlisten:", 1).encode())
    assert re.search(r"standard input:4:1: listen_on: is not a known key", said), said

    # What is tried and not confirmed goes back by itself.
    postern("relay", "config", "apply", "-", "--confirm-within", "1s", "--revision", "2",
            input=got.encode())
    wait_until("the trial is over",
               lambda: postern.json("relay", "config", "get")["config"].get("drain") == "7s", 5)
    states = [c["state"] for c in postern.json("relay", "config", "history")["history"]]
    assert states == ["in force", "rolled back", "replaced", "replaced"], states


@limit(90)
def test_grant_and_revoke(lab):
    w, postern = day(lab)
    said = postern("grant", "laptop", "home/echo", "--until", "friday", "--rate", "20MB/s",
                   check=False)
    assert said.returncode == 0 and "no rule" in said.stderr, said.stderr
    assert "home/echo" in postern("grants")
    with w.laptop.connect("127.0.0.1", 7000) as s:
        s.sendall(b"hello")
        assert s.recv(5) == b"hello"
        session = postern.json("relay", "sessions")["sessions"][0]
        assert (session["from"], session["to"], session["service"]) == ("laptop", "home", "echo")
        top = postern.json("relay", "top")
        assert [x["session"] for x in top["sessions"]] == [session["session"]], top
        began = time.monotonic()
        postern("revoke", "laptop", "--note", "lost")
        s.settimeout(5)
        try:
            assert s.recv(1) == b""
        except ConnectionResetError:
            pass
        assert time.monotonic() - began < 2
    audit = postern.json("relay", "audit")["audit"]
    assert [r["kind"] for r in audit] == ["session.opened", "session.closed"], audit
    done = w.laptop.run([f"{lab.build}/postern", "check", "--as", lab.path("laptop.yaml")],
                        check=False)
    assert done.returncode == 1 and "revoked" in done.stdout, done.stdout
    for _ in range(12):  # REVOKED follows WELCOME, in time or too late to be seen
        done = w.home.run([f"{lab.build}/postern", "check", "--as", lab.path("home.yaml")],
                          check=False)
        assert "accepted, as agent home" in done.stdout, done.stdout
    assert "no grant" not in postern("unrevoke", "laptop")
    assert "everything" in postern("ungrant", "laptop")
    assert "without a rule: everything is denied" in postern("grants")


@limit(60)
def test_agents_end_to_end(lab):
    w, postern = day(lab)
    status = postern.json("agent", "status", "home")
    assert status["agent"] == "home" and status["links"][0]["state"] == "up", status
    got = postern("agent", "config", "get", "home")
    changed = got.replace("\npublish:\n", "\npublish:\n- service: web\n  target: 127.0.0.1:80\n", 1)
    postern("agent", "config", "apply", "home", "-", "--confirm-within", "60s",
            input=changed.encode())
    postern("agent", "config", "confirm", "home")
    agents = {a["agent"]: a for a in postern.json("agent", "list")["agents"]}
    assert sorted(agents["home"]["services"]) == ["echo", "web"], agents
    kinds = [e["kind"] for e in postern.json("agent", "events", "home")["events"]]
    assert "link.up" in kinds, kinds
    assert "nobody" in postern.refused("agent", "status", "nobody")
    # Only a console is let in, however it asks.
    said = w.laptop.run([f"{lab.build}/postern", "--as", lab.path("laptop.yaml"), "connect",
                         "home/postern/control"], input=b"", check=False)
    assert said.returncode == 1 and "allowed" in said.stderr, said.stderr
    said = w.laptop.run([f"{lab.build}/postern", "--as", lab.path("laptop.yaml"), "relay",
                         "status"], check=False)
    assert said.returncode == 1 and "agent's file" in said.stderr, said.stderr


# ---- README.md, by the letter -------------------------------------------------------------------

README = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../README.md")
EDITOR = """#!/bin/sh
sed -i -e 's/^listen:/drain: 7s\\nlisten:/' \
    -e 's/^publish:/publish:\\n- service: web\\n  target: 127.0.0.1:7000/' "$1"
"""
# What comes of each of the ten commands, by its first words: a part of what it says.
SAID = {
    "ops relay status": "serving",
    "ops relay agents": "home .*echo",
    "ops grant": r"laptop may reach home/\* until .*, at most 20MB/s; revision 2",
    "ops relay sessions": "laptop +home +echo",
    "ops relay config get": "",
    "ops relay config apply": r"\+ drain: 7s(.*\n)*.*revision 3 is in force(.*\n)*It goes back",
    "ops relay config confirm": "revision 3",
    "ops agent config get": r"\+ .*web.*(.*\n)*.*revision 2 is in force",
    "ops revoke": "laptop is revoked",
    "ops relay drain": "draining",
}


def readme_blocks():
    """The commands that are typed once, and the ten."""
    with open(README, encoding="utf-8") as f:
        day_of = f.read().split("## The operator's day in ten commands\n")[1].split("\n## ")[0]
    once_block, ten = re.findall(r"^```sh\n((?:.*\n)*?)```$", day_of, re.MULTILINE)
    return once_block, ten.splitlines()


@limit(90)
def test_readme_day(lab):
    """The ten commands of the README, as they stand there, one after the other in a shell."""
    once_block, ten = readme_blocks()
    assert len(ten) == 10, f"{len(ten)} commands: {ten}"
    w = World(lab).two_homes()
    w.home.serve(7000, echo)
    w.relay()
    w.agent(w.home, "home", publish={"echo": "127.0.0.1:7000"})
    w.agent(w.laptop, "laptop", forward={7000: "home/echo"})
    editor = lab.write("editor", EDITOR)
    os.chmod(editor, 0o755)
    environment = {"PATH": f"{lab.build}:{os.environ['PATH']}", "EDITOR": editor}

    def shell(script):
        return w.visitor.run(["sh", "-ec", script], cwd=lab.dir, env=environment).stdout

    shell(once_block)
    alias = "".join(x for x in once_block.splitlines(True) if x.startswith("alias "))
    with w.laptop.connect("127.0.0.1", 7000) as s:
        s.sendall(b"hello")
        assert s.recv(5) == b"hello"
        for line, (begin, says) in zip(ten, SAID.items()):
            assert line.startswith(begin), f"README.md has '{line}' where {begin} was expected"
            said = shell(alias + line)
            assert re.search(says, said), f"'{line}' said: {said}"
        assert ends(s, 5), "the session of a revoked agent goes on"
    status = json.loads(shell(alias + "ops relay status --json"))
    assert status["draining"] and status["revision"] == 3 and "unconfirmed_ms" not in status, status
    shell(alias + "ops relay undrain")
