# SPDX-License-Identifier: Apache-2.0
"""What an operator asks of a running relay, and who may."""
import json
import os
import signal
import socket
import threading
import time

from console import Rpc, as_user, console
from netlab import wait_until
from peers import (MIB, answer_digest, data, echo, ends, receive_all, receive_exactly, sha256)
from world import World, set_blocks, with_block

CALL = '{"jsonrpc": "2.0", "id": %d, "method": "%s"}\n'


def control_block(lab, *lines):
    """The relay's block that opens a Unix socket, and its path."""
    path = lab.path("relay.sock")
    return {"control": "\n".join([f"  socket: {path}", *(f"  {x}" for x in lines)])}, path


def test_console_on_443(lab):
    """A console certificate opens the relay's own port to calls; an agent's does not."""
    w = World(lab).two_homes()
    w.home.serve(7000, echo)
    w.pair(7000)
    boss = console(w)
    status = boss.json("relay", "status")
    assert status["relay"] == "relay" and status["engine"] == lab.engine, status
    assert status["links"] == 2 and status["sessions"] == 0 and not status["draining"], status
    assert status["tls_library"].startswith("BoringSSL of 20"), status
    assert sum(status["key_exchange"].values()) == 2, status
    page = boss.run("relay", "status").stdout
    assert "relay" in page and status["tls_library"] in page, page
    (exchange,) = status["key_exchange"]
    assert exchange.startswith("X25519") and exchange in page, page
    assert all(a["key_exchange"] == exchange for a in boss.json("relay", "agents")["agents"])
    methods = boss.run("relay", "schema").stdout
    assert "config.apply" in methods and "revoke" in methods, methods[:300]
    laptop = console(w, name="other")
    laptop.way = ("--as", lab.path("laptop.yaml"))
    said = laptop.refused("relay", "status")
    assert "console" in said, said
    with w.laptop.connect("127.0.0.1", 7000) as s:  # all this disturbed no session
        s.sendall(b"still here")
        assert receive_exactly(s, 10) == b"still here"


def codes_for(path):
    """What the caller gets for a question and for a change."""
    with Rpc(path) as rpc:
        answers = []
        for method, params in (("status", {}), ("config.apply", {"config": {}})):
            try:
                rpc.send(json.dumps({"jsonrpc": "2.0", "id": 1, "method": method,
                                     "params": params}) + "\n")
            except OSError:
                pass  # turned away; the reason is there to read
            got = rpc.line()
            answers.append(got["error"]["code"] if "error" in got else "ok")
            if got["id"] is None:
                break
        return answers


def test_console_local_socket(lab):
    """Lines on the Unix socket: each mistake has its code, and only what must ends a connection."""
    w = World(lab).one_host()
    blocks, path = control_block(lab, "read: [4711]")
    w.relay(blocks=blocks)
    with Rpc(path) as rpc:
        assert rpc.result("status")["relay"] == "relay"
        assert rpc.error("no.such.method") == -32601
        assert rpc.error("kick", session=17) == -32602
        assert rpc.error("kick", nonsense="x") == -32602
        assert rpc.error("grant", agent="laptop") == -32602
        assert rpc.error("events", limit="many") == -32602
        for text, code in (("{nonsense\n", -32700), ("\xff\xfe\n", -32700),
                           ("[]\n", -32600), ("17\n", -32600), ('{"id": 1}\n', -32600),
                           ("[" * 10000 + "\n", -32600)):
            rpc.send(text)
            got = rpc.line()
            assert got["error"]["code"] == code, f"{text[:20]!r}: {got}"
        rpc.send('{"jsonrpc": "2.0", "method": "status"}\n' + CALL % (77, "status"))
        assert rpc.line()["id"] == 77, "a notification was answered"
        rpc.send("".join(CALL % (n, "status") for n in range(1000, 2000)))
        assert [rpc.line()["id"] for _ in range(1000)] == list(range(1000, 2000))
        with Rpc(path) as other:
            try:
                for _ in range(5):
                    other.send(b"x" * MIB)
            except OSError:
                pass  # it had enough before the end
            assert ends(other.sock, 5), "a line of 5 MiB was read on"
        assert rpc.result("status")["relay"] == "relay"
    assert as_user(4711, lambda: codes_for(path)) == ["ok", -32001]
    assert as_user(4712, lambda: codes_for(path)) == [-32001]


def test_console_local_socket_broken_off(lab):
    """Connections that end in the middle of a line, or before their answers, leave nothing."""
    w = World(lab).one_host()
    blocks, path = control_block(lab)
    w.relay(blocks=blocks)
    for n in range(200):
        with Rpc(path) as rpc:
            rpc.send((CALL % (n, "sessions") * 3)[:n])
    with Rpc(path) as rpc:
        rpc.sock.shutdown(socket.SHUT_WR)
        assert ends(rpc.sock, 5)
    with Rpc(path) as rpc:
        assert json.dumps(rpc.result("sessions")["sessions"]) == "[]"


# ---- changes ------------------------------------------------------------------------------------

def listen(*ports):
    return "\n".join(f'  - address: "0.0.0.0:{p}"' for p in ports)


def listening_on(*ports):
    """A change of the configuration: listen on these ports."""
    def change(text):
        return with_block(text, "listen", listen(*ports))
    return change


def accepts(w, port):
    try:
        w.visitor.connect("45.0.0.2", port, timeout=3).close()
    except OSError:
        return False
    return True


def send_slowly(sock, content, go_on, result):
    """Piece after piece, the last when go_on is set; then what the other side says about it."""
    try:
        for at in range(0, len(content) - MIB, MIB):
            sock.sendall(content[at:at + MIB])
            go_on.wait(0.1)
        go_on.wait(30)
        sock.sendall(content[-MIB:])
        sock.shutdown(socket.SHUT_WR)
        result.append(receive_all(sock))
    except OSError as e:
        result.append(str(e))


def test_console_apply(lab):
    """A listener comes and goes while a transfer runs on; what is not confirmed goes by itself."""
    w = World(lab).two_homes()
    w.home.serve(7000, answer_digest)
    relay, *_ = w.pair(7000, "digest")
    boss = console(w)
    content, go_on, result = data(32 * MIB), threading.Event(), []
    with w.laptop.connect("127.0.0.1", 7000, timeout=30) as s:
        transfer = threading.Thread(target=send_slowly, args=(s, content, go_on, result),
                                    daemon=True)
        transfer.start()
        more = boss.edited(listening_on(443, 8443))
        assert "8443" in boss.run("relay", "config", "diff", more).stdout
        assert not accepts(w, 8443)
        revision = boss.revision()
        done = boss.json("relay", "config", "apply", more)
        assert done["revision"] == revision + 1 and "listen" in str(done["diff"]), done
        # What the command line says holds: the engine is no news, and --log-level info goes on.
        assert done["restart"] == [], done
        relay.remember()
        boss.run("relay", "status")
        relay.wait_for_line(r" info control: caller=console:boss")
        assert accepts(w, 8443) and transfer.is_alive()
        # Made from a revision that is no longer in force.
        said = boss.refused("relay", "config", "apply", more, "--revision", revision)
        assert str(revision + 1) in said, said
        # Where the caller came in.
        cut = boss.edited(listening_on(8443), "cut.yaml")
        said = boss.refused("relay", "config", "apply", cut)
        assert "cut you off" in said, said
        assert boss.revision() == revision + 1
        # On trial, and not confirmed.
        one = boss.edited(listening_on(443), "one.yaml")
        boss.run("relay", "config", "apply", one, "--confirm-within", "4s")
        # Answered is in force; each worker closes its listener in a turn of its own.
        wait_until("the listener is gone", lambda: not accepts(w, 8443), 3, 0.05)
        said = boss.refused("relay", "config", "apply",
                            boss.edited(listening_on(443, 9443), "nine.yaml"))
        assert "confirm" in said, said
        wait_until("the change goes by itself", lambda: accepts(w, 8443), 10, 0.1)
        # On trial, and confirmed.
        boss.run("relay", "config", "apply", boss.edited(listening_on(443), "one.yaml"),
                 "--confirm-within", "2s")
        boss.run("relay", "config", "confirm")
        boss.refused("relay", "config", "rollback")
        time.sleep(2.5)
        assert not accepts(w, 8443)
        assert transfer.is_alive(), f"{result}"
        go_on.set()
        transfer.join(30)
    assert result == [f"{len(content)} {sha256(content)}\n".encode()], f"{result}"
    history = boss.json("relay", "config", "history")["history"]
    assert len(history) >= 4 and history[0]["revision"] > history[-1]["revision"], history
    assert "console:boss" in {h["who"] for h in history}, history


def test_console_forced(lab):
    """With force a console may cut itself off; the trial brings its way in back."""
    w = World(lab).one_host()
    w.relay()
    boss = console(w)
    cut = boss.edited(listening_on(8443))
    boss.run("relay", "config", "apply", cut, "--force", "--confirm-within", "2s", check=False)
    wait_until("the way in is closed", lambda: not accepts(w, 443), 3)
    wait_until("the way in is back", lambda: accepts(w, 443), 6, 0.1)
    assert boss.revision() and not accepts(w, 8443)


def test_console_bad_document(lab):
    """A document with errors changes nothing, and every error is told."""
    w = World(lab).one_host()
    w.relay()
    boss = console(w)
    revision = boss.revision()
    bad = boss.edited(lambda text: text + "\nnonsense: 1\ndrain: never\n", "bad.yaml")
    said = boss.refused("relay", "config", "apply", bad)
    assert "nonsense" in said and "drain" in said, said
    key = boss.edited(lambda text: text.replace("BEGIN CERTIFICATE", "BEGIN NOTHING"), "key.yaml")
    boss.refused("relay", "config", "check", key)
    assert "PRIVATE KEY" not in boss.run("relay", "config", "get").stdout
    assert boss.revision() == revision


def test_console_state(lab):
    """What a console applied survives a restart in state_dir, beside a file that was edited."""
    w = World(lab).one_host()
    state = lab.path("state")
    os.mkdir(state)
    config = w.issue_relay(blocks={"state_dir": state})
    relay = w.start_relay(config)
    boss = console(w)
    boss.run("relay", "config", "apply", boss.edited(listening_on(443, 8443)))
    boss.run("relay", "config", "apply", boss.edited(listening_on(443, 9443)),
             "--confirm-within", "60s")  # never confirmed: forgotten by the restart
    relay.signal(signal.SIGTERM)
    assert relay.process.wait() == 0
    relay = w.start_relay(config)
    assert accepts(w, 443) and accepts(w, 8443) and not accepts(w, 9443)
    relay.signal(signal.SIGTERM)
    assert relay.process.wait() == 0
    set_blocks(config, {"listen": listen(443, 7443)})  # while the relay is down
    relay = w.start_relay(config)
    assert accepts(w, 443) and accepts(w, 7443) and accepts(w, 8443)
    revision = boss.revision()
    relay.remember()
    relay.signal(signal.SIGHUP)
    relay.wait_for_line(r"nothing new")
    assert boss.revision() == revision
    set_blocks(config, {"listen": "nonsense"})
    relay.remember()
    relay.signal(signal.SIGHUP)
    relay.wait_for_line(r"error.*not in force")
    relay.wait_for_line(rf"error config: {config}:\d+:\d+: listen")
    assert accepts(w, 7443)


def test_console_reload(lab):
    """SIGHUP brings in what the file says anew; what consoles changed stays."""
    w = World(lab).one_host()
    config = w.issue_relay(blocks={"groups": "  - {name: staff, members: [laptop]}\n"})
    relay = w.start_relay(config)
    boss = console(w)
    boss.run("grant", "laptop", "home/echo")
    boss.run("revoke", "mole")
    boss.run("relay", "config", "apply",
             boss.edited(lambda text: text + "\nlimits:\n  sessions: 500\n  legs: 50\n"))
    set_blocks(config, {"listen": listen(443, 8443), "limits": "  sessions: 600\n",
                        "revoked": "  - agent: thief\n", "threads": 2})
    relay.remember()
    relay.signal(signal.SIGHUP)
    relay.wait_for_line(r"threads changes only with the next start")
    relay.wait_for_line(r"limits\.sessions: .*the file says counts")
    assert accepts(w, 443) and accepts(w, 8443)
    listed = boss.json("grants")
    assert [r["to"] for r in listed["grants"]] == [["home/echo"]], listed
    assert [r["agent"] for r in listed["revoked"]] == ["thief"], listed
    assert [r["agent"] for r in listed["signed"]] == ["mole"], listed
    limits = boss.json("relay", "config", "get")["config"]["limits"]
    assert limits == {"sessions": 600, "legs": 50}, limits
    told = boss.json("relay", "events")["events"]
    assert [e["path"] for e in told if e["kind"] == "config.overruled"] == ["limits.sessions"]
    # The file takes back what it said itself, and nothing else.
    set_blocks(config, {"revoked": "[]", "grants": "  - {from: [staf], to: [home/echo]}\n"})
    relay.remember()
    relay.signal(signal.SIGHUP)
    relay.wait_for_line(r'warning.*grants.*"staf".*staff')
    wait_until("thief is good again", lambda: "thief" not in str(boss.json("grants")), 5, 0.1)
    listed = boss.json("grants")
    assert listed["revoked"] == [], listed
    assert [r["agent"] for r in listed["signed"]] == ["mole"], listed
    assert len(listed["grants"]) == 2, listed
    # A slip is told at the start, too.
    relay.signal(signal.SIGTERM)
    assert relay.process.wait() == 0
    relay = w.start_relay(config)
    relay.wait_for_line(r'warning.*grants.*"staf".*staff')
