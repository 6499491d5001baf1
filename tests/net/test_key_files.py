# SPDX-License-Identifier: Apache-2.0
"""Files with keys: no program takes one that others may read, but from a mount of secrets."""
import os
import pwd
import re
import shutil
import signal
import tempfile

from netlab import run
from peers import echo, receive_exactly
from runner import limit, once
from world import World, set_blocks

WANTED = "holds a key and is open to more than its owner (mode 0644); type: chmod 600 {}"


def refused(host, path, *argv, answer=1):
    """argv says why it does not take path, with mode 0644, and works with what it says to type."""
    os.chmod(path, 0o644)
    done = host.run(argv, check=False)
    assert done.returncode == answer, (argv, done.returncode, done.stderr)
    wanted = WANTED.format(path)
    assert wanted in done.stderr, (argv, done.stderr)
    host.run(["sh", "-c", done.stderr.split("type: ", 1)[1].splitlines()[0]])
    assert os.stat(path).st_mode & 0o777 == 0o600


@once
@limit(60)
def test_key_files(lab):
    """Relay, agent, NAT helper and tool refuse what is open to others, with what to type; running ones
    at SIGHUP, too."""
    w = World(lab).two_homes()
    w.home.serve(7000, echo)
    config = w.issue_relay()
    relayd = f"{lab.build}/postern-relayd"
    refused(w.relay_host, config, relayd, "-c", config)
    refused(w.relay_host, config, relayd, "-c", config, "--check")
    relay = w.start_relay(config)
    os.chmod(config, 0o644)
    relay.signal(signal.SIGHUP)
    relay.wait_for_line("error config: .*" + WANTED.format(config).replace("(", r"\(")
                                .replace(")", r"\)"))
    os.chmod(config, 0o600)

    home = w.issue_agent("home", publish={"echo": "127.0.0.1:7000"})
    agent = f"{lab.build}/postern-agent"
    refused(w.home, home, agent, "-c", home)
    refused(w.home, home, agent, "-c", home, "--check")
    running = w.start_agent(w.home, home, "home")
    os.chmod(home, 0o604)
    running.signal(signal.SIGHUP)
    running.wait_for_line(r"error.*\(mode 0604\); type: chmod 600 " + home)
    os.chmod(home, 0o600)

    console = w.lab.path("ops.yaml")
    w.tool("pki", "issue", w.pki, "console", "ops", "--relay", "relay.example.org:443", "--out", console)
    tool = f"{lab.build}/postern"
    refused(w.visitor, console, tool, "--as", console, "relay", "status")
    refused(w.visitor, console, tool, "--as", console, "check")
    refused(w.visitor, os.path.join(w.pki, "ca.key"), tool, "pki", "issue", w.pki, "agent", "other",
            "--relay", "relay.example.org:443", "--out", lab.path("other.yaml"))

    kept = lab.path("natd-state")
    os.mkdir(kept, 0o700)
    key = os.path.join(kept, "natd.key")
    with open(key, "wb") as f:
        f.write(bytes(32))
    refused(w.home, key, f"{lab.build}/postern-natd", "--map", "tcp:443", "--state-dir", kept,
            "--socket", lab.path("natd.sock"))


@once
@limit(60)
def test_key_files_of_mounts(lab):
    """What a manager of containers or services has mounted passes: in memory or by itself, root's, and
    read-only; by one of these alone it does not."""
    w = World(lab).two_homes()
    config = w.issue_relay()
    relayd = f"{lab.build}/postern-relayd"

    def takes(path, mode=0o644):
        os.chmod(config, mode)
        done = w.relay_host.run([relayd, "-c", path, "--check"], check=False)
        assert done.returncode == 0 or "holds a key" in done.stderr, done.stderr
        return done.returncode == 0

    # As Docker mounts one file.
    alone = lab.path("alone.yaml")
    with open(alone, "wb"):
        pass
    run(["mount", "--bind", config, alone])
    assert not takes(alone), "a mount that can be written to"
    run(["mount", "-o", "remount,bind,ro", alone])
    assert takes(alone), "a read-only mount of one file"
    assert not takes(alone, 0o666), "a file that others may write to"
    run(["umount", alone])

    # As ProtectSystem= makes a whole tree read-only; labs are in memory.
    with tempfile.TemporaryDirectory(dir=lab.build) as tree:
        shutil.copy(config, tree)
        inside = os.path.join(tree, os.path.basename(config))
        os.chmod(inside, 0o644)
        run(["mount", "--bind", tree, tree])
        run(["mount", "-o", "remount,bind,ro", tree])
        assert not takes(inside), "a read-only directory that others read, too"
        run(["umount", tree])

    # As Kubernetes does: memory, and links to it.
    memory = lab.path("memory")
    os.mkdir(memory)
    run(["mount", "-t", "tmpfs", "-o", "mode=755", "secret", memory])
    os.mkdir(os.path.join(memory, "..2026"))
    shutil.copy(config, os.path.join(memory, "..2026", "relay.yaml"))
    os.chmod(os.path.join(memory, "..2026", "relay.yaml"), 0o644)
    os.symlink("..2026", os.path.join(memory, "..data"))
    secret = os.path.join(memory, "relay.yaml")
    os.symlink("..data/relay.yaml", secret)
    assert not takes(secret), "memory that can be written to"
    run(["mount", "-o", "remount,ro", memory])
    assert takes(secret), "read-only memory"
    run(["umount", memory])


@once
@limit(60)
def test_agent_user(lab):
    """An agent that root starts is another user once it runs, with no capability left, and reads its
    file as that user; what it keeps it opened before."""
    if os.environ.get("POSTERN_UID") != "0":
        raise AssertionError("no other user can be had in an ordinary user's namespace: run this "
                             "test as root")
    w = World(lab).two_homes()
    w.home.serve(7000, echo)
    w.relay()
    kept = lab.path("kept")
    os.mkdir(kept, 0o700)
    config = w.issue_agent("home", publish={"echo": "127.0.0.1:7000"},
                           blocks={"user": "nobody", "state_dir": kept})
    group = pwd.getpwnam("nobody").pw_gid
    os.chown(config, 0, group)
    os.chmod(config, 0o640)
    os.mkdir(lab.path("links"))
    link = lab.path("links/home.yaml")
    os.symlink(config, link)  # into another directory, which it may read in as well
    home = w.start_agent(w.home, link, "home")
    with open(f"/proc/{home.pid}/status", encoding="ascii") as f:
        status = f.read()
    uid = str(pwd.getpwnam("nobody").pw_uid)
    assert re.search(r"^Uid:\s+(.*)$", status, re.MULTILINE).group(1).split() == [uid] * 4, status
    assert re.search(r"^CapPrm:\s+0+$", status, re.MULTILINE), status
    set_blocks(config, {"max_sessions": "500"})
    home.signal(signal.SIGHUP)
    home.wait_for_line(r"configuration revision=\d+ by SIGHUP")
    w.agent(w.laptop, "laptop", forward={7000: "home/echo"})
    with w.laptop.connect("127.0.0.1", 7000) as s:
        s.sendall(b"hello")
        assert receive_exactly(s, 5) == b"hello"
    # As root's alone it cannot be read any more, which is told; what is in force goes on.
    os.chmod(config, 0o600)
    home.signal(signal.SIGHUP)
    home.wait_for_line(r"error.*cannot be read: Permission denied")
    done = w.home.run([f"{lab.build}/postern-agent", "-c", w.issue_agent(
        "other", blocks={"user": "nobody-here"})], check=False)
    assert done.returncode == 1, done.stderr
    assert "user: cannot become nobody-here: there is no such user" in done.stderr
