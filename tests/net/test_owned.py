# SPDX-License-Identifier: Apache-2.0
"""What a program does to its host, its own file says alone."""
import json
import os
import pwd
import shutil
import stat

from console import Rpc, console
from runner import limit, once
from test_state import state
from world import World, set_blocks, with_block

PRECIOUS = "what root keeps\n"


def edits(precious):
    """What a console would have root do: {path: the change of a configuration}."""
    return {
        "control.socket": lambda text: with_block(text, "control", f"  socket: {precious}"),
        "control.admin": lambda text: text.replace("control:\n", "control:\n  admin: [1234]\n"),
        "user": lambda text: with_block(text, "user", "daemon"),
        "state_dir": lambda text: with_block(text, "state_dir", os.path.dirname(precious)),
        "metrics.listen": lambda text: with_block(text, "metrics", '  listen: "0.0.0.0:9100"'),
        "nat.socket": lambda text: with_block(text, "nat", f"  socket: {precious}"),
    }


def untouched(precious):
    with open(precious, encoding="utf-8") as f:
        return f.read() == PRECIOUS and stat.S_IMODE(os.stat(precious).st_mode) == 0o600


def refuses_to_start(w, config, *said):
    done = w.relay_host.run([f"{w.lab.build}/postern-relayd", "-c", config], check=False)
    assert done.returncode == 1, done
    assert all(x in done.stderr for x in said), done.stderr


@once
@limit(90)
def test_a_console_does_nothing_to_the_host(lab):
    """Neither by what it applies nor by what is kept does a console decide what is deleted, made
    or whose the relay is at the next start."""
    w = World(lab).one_host()
    where, precious, socket = (state(lab, "relay-state"), lab.path("precious"),
                               lab.path("relay.sock"))
    lab.write("precious", PRECIOUS)
    os.chmod(precious, 0o600)
    config = w.issue_relay(blocks={"state_dir": where, "control": f"  socket: {socket}"})
    relay = w.start_relay(config)
    boss = console(w)
    for path, change in edits(precious).items():
        said = boss.refused("relay", "config", "apply", boss.edited(change), "--force")
        assert f"{path}: is said by the program's own file" in said, (path, said)
    boss.run("relay", "config", "apply",
             boss.edited(lambda text: with_block(text, "log_level", "info")))
    relay.process.kill()

    # A relay that was taken over writes there what it likes.
    kept = os.path.join(where, "applied.json")
    with open(kept, encoding="utf-8") as f:
        forged = json.load(f)
    forged["config"]["control"] = {"socket": precious, "admin": [1234]}
    forged["config"]["user"] = "daemon"
    with open(kept, "w", encoding="utf-8") as f:
        json.dump(forged, f)
    relay = w.start_relay(config)
    assert untouched(precious)
    assert "a console had changed this too" in relay.log(), relay.log()
    with Rpc(socket) as local:
        in_force = local.result("config.get")["config"]
    assert in_force["control"] == {"socket": socket} and "user" not in in_force, in_force
    assert in_force["log_level"] == "info", "what a console may change is kept"
    relay.process.kill()

    # Nor is a file taken away where the operator's own slip names it.
    set_blocks(config, {"control": f"  socket: {precious}"})
    refuses_to_start(w, config, "control.socket: cannot listen", "take it away")
    assert untouched(precious)


@once
@limit(60)
def test_the_user_comes_before_the_socket(lab):
    """A relay that starts as root makes its control socket as its user, and only where that one may;
    its metrics are at a port of root's. One that another user starts is that user's."""
    w = World(lab).one_host()
    place = lab.path("run")
    os.chmod(lab.dir, 0o711)
    os.mkdir(place, 0o700)
    daemon = pwd.getpwnam("daemon").pw_uid
    os.chown(place, daemon, -1)
    blocks = {"user": "daemon", "control": f"  socket: {place}/relay.sock",
              "metrics": '  listen: "127.0.0.1:910"'}
    relay = w.relay(blocks=blocks)
    assert os.stat(f"{place}/relay.sock").st_uid == daemon
    boss = console(w)
    assert boss.run("relay", "status").returncode == 0
    relay.process.kill()
    # Root could have made it.
    os.chown(place, 0, -1)
    refuses_to_start(w, relay.config, "control.socket: cannot listen", "Permission denied")
    # Started by another user than root it stays that one.
    os.chown(place, daemon, -1)
    own = shutil.copy(relay.config, f"{place}/own.yaml")
    set_blocks(own, {"user": "nobody", "metrics": '  listen: "127.0.0.1:9100"',
                     "listen": '  - address: "0.0.0.0:8443"'})
    os.chown(own, daemon, -1)
    program = shutil.copy(f"{lab.build}/postern-relayd", lab.path("relayd"))
    other = w.relay_host.start(["setpriv", "--reuid", "daemon", "--regid", "daemon",
                                "--clear-groups", program, "-c", own], "of-daemon")
    other.wait_for_line(r"relay: listening\b")
    assert os.stat(f"{place}/relay.sock").st_uid == daemon
    other.kill()
