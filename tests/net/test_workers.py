# SPDX-License-Identifier: Apache-2.0
"""A worker of a relay that dies alone, and what a flood leaves to those who operate the relay."""
import ctypes
import json
import os
import pathlib
import platform
import re

from netlab import wait_until
from peers import echo, receive_exactly
from runner import limit
from test_failure import works_again
from world import World

ROOT = pathlib.Path(__file__).resolve().parents[2]

# ptrace(2): what turns a thread that waits in a system call into one that asks for exit(2), which ends
# it alone. Offsets in struct user_regs_struct, and how far back the instruction of the call is.
ATTACH, GETREGSET, SETREGSET, DETACH = 16, 0x4204, 0x4205, 17
PRSTATUS, ARM_SYSTEM_CALL = 1, 0x404
X86 = {"number": 80, "original": 120, "argument": 112, "counter": 128, "back": 2, "exit": 60}
ARM = {"number": 64, "argument": 0, "counter": 256, "back": 4, "exit": 93}


class Vector(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


def ptrace(what, tid, address=0, data=None):
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    libc.ptrace.restype = ctypes.c_long
    if libc.ptrace(what, tid, address, data) < 0:
        raise OSError(ctypes.get_errno(), f"ptrace {what:#x} of {tid}")


def end_thread(tid):
    """This thread alone ends, as if it had called exit(2) in mid-work."""
    at = ARM if platform.machine() == "aarch64" else X86
    registers = bytearray(512)
    held = (ctypes.c_char * len(registers)).from_buffer(registers)
    vector = Vector(ctypes.addressof(held), len(registers))

    def get(offset):
        return int.from_bytes(registers[offset:offset + 8], "little", signed=True)

    def put(offset, value):
        registers[offset:offset + 8] = value.to_bytes(8, "little", signed=True)

    ptrace(ATTACH, tid)
    os.waitpid(tid, 0x40000000)  # __WALL
    ptrace(GETREGSET, tid, PRSTATUS, ctypes.addressof(vector))
    put(at["counter"], get(at["counter"]) - at["back"])
    put(at["number"], at["exit"])
    put(at["argument"], 0)
    if "original" in at:
        put(at["original"], -1)  # nothing is started again
    ptrace(SETREGSET, tid, PRSTATUS, ctypes.addressof(vector))
    ptrace(DETACH, tid)


def workers(pid):
    """Its threads but the first, and but those that are the kernel's own (io_uring)."""
    tasks = [int(t) for t in os.listdir(f"/proc/{pid}/task") if int(t) != pid]
    names = {t: pathlib.Path(f"/proc/{pid}/task/{t}/comm").read_text() for t in tasks}
    return [t for t in tasks if not names[t].startswith("iou-")]


@limit(90)
def test_a_worker_that_dies_takes_the_relay_along(lab):
    """Its sockets would go on taking every second client. The status is one on which systemd acts."""
    w = World(lab).two_homes()
    w.home.serve(7001, echo)
    relay, home, laptop = w.pair(7001, relay_blocks={"threads": 2}, home_blocks={"retry_max": "2s"},
                                 laptop_blocks={"retry_max": "2s"})
    works_again(w, 7001)
    assert len(workers(relay.pid)) == 2
    relay.process.must_end_well = False
    relay.process.ended_by_us = True
    end_thread(workers(relay.pid)[0])
    status = relay.process.wait(10)
    assert status > 0, f"it ends with status {status}"
    assert re.search(r"error relay: worker \d: .* ended", relay.log()), relay.process.tail()
    unit = (ROOT / "systemd" / "postern-relayd.service").read_text()
    assert "\nRestart=on-failure\n" in unit, "nothing starts it again"
    w.start_relay(relay.config)
    works_again(w, 7001)
    assert home.alive() and laptop.alive()


@limit(90)
def test_a_flood_leaves_the_control_socket_and_the_metrics(lab):
    """Strangers have all places that they may have, and come all the same; the relay's operator and
    its scraper do not notice."""
    w = World(lab).two_homes()
    w.home.serve(7001, echo)
    socket_path = lab.path("relay.sock")
    most = 400
    config = w.issue_relay(blocks={
        "threads": 2, "limits": "  per_source: 5000\n  hello: 60s",
        "control": f"  socket: {socket_path}", "metrics": "  listen: 127.0.0.1:9100"})
    process = w.relay_host.start(
        ["sh", "-c", f'ulimit -n {most}; exec "$@"', "sh", f"{lab.build}/postern-relayd", "-c",
         config, "--log-level", "info"], "relay")
    process.must_end_well = True
    found = process.wait_for_line(r"limits: memory.* connections=(\d+)")
    possible = int(found.group(1))
    assert 100 < possible < most - 80, f"{possible} connections of {most} descriptors"
    process.wait_for_line(r"relay: listening\b.*address=")
    silent = [w.visitor.connect("45.0.0.2", 443) for _ in range(possible + 50)]
    try:
        def status():
            done = w.relay_host.run([f"{lab.build}/postern", "--socket", socket_path, "relay",
                                     "status", "--json"])
            return done.stdout

        def crowded():
            places = json.loads(status())["places"]["unproven"]
            return places["used"] >= places["most"] > 0

        wait_until("strangers have all their places", crowded, 20)
        for _ in range(20):
            assert '"connections"' in status()
            with w.relay_host.connect("127.0.0.1", 9100) as s:
                s.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
                assert receive_exactly(s, 15) == b"HTTP/1.1 200 OK"
        assert "cannot accept" not in process.log()
    finally:
        for s in silent:
            s.close()
