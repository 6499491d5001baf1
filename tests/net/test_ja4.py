# SPDX-License-Identifier: Apache-2.0
"""The agent's ClientHello is the one that the installed Chromium sends for a WebSocket."""
import os
import queue

from ja4 import PADDING, TRUST_ANCHORS, Hello
from peers import need, receive_exactly
from runner import limit, once
from world import RELAY_NAME, World

# What Debian's BoringSSL of 2022 lacks, and a current one has. Without the 1.2 KB of ML-KEM the hello
# is so short that the library pads it (RFC 7685). There is no other difference.
X25519MLKEM768 = 0x11ec
ML_DSA = (0x0904, 0x0905, 0x0906)
LACKS = {
    "ML-KEM": {"groups": (X25519MLKEM768,)},
    # With a GREASE among the signatures, which came later.
    "ML-DSA": {"signatures": (*ML_DSA, "grease")},
    "trust anchors": {"extensions": (TRUST_ANCHORS,)},
}


def recorder(host):
    """Listens where the relay would; the ClientHellos of those who come, as a queue."""
    hellos = queue.Queue()

    def record(sock, _peer):
        header = receive_exactly(sock, 5)
        assert header[:3] == b"\x16\x03\x01", header
        hellos.put(Hello(receive_exactly(sock, int.from_bytes(header[3:], "big"))))

    host.serve(443, record)
    return hellos


def chromium(host, to):
    """A browser with a page that opens a WebSocket to the relay's name."""
    profile = host.lab.path("chromium")
    os.makedirs(profile)
    page = host.lab.write("page.html", f'<script>new WebSocket("wss://{RELAY_NAME}/")</script>')
    return host.start(
        [need("chromium"), "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync",
         "--disable-dev-shm-usage", "--disable-crash-reporter", "--disable-breakpad",
         f"--user-data-dir={profile}", f"--host-resolver-rules=MAP {RELAY_NAME} {to}",
         f"file://{page}"], "chromium",
        env={"HOME": profile, "XDG_CONFIG_HOME": profile, "XDG_CACHE_HOME": profile})


@once
@limit(120)
def test_agents_hello_is_chromiums(lab):
    w = World(lab).one_host()
    hellos = recorder(w.relay_host)
    browser = chromium(w.visitor, w.relay_host.address)
    theirs = hellos.get(timeout=60)
    browser.kill()
    w.agent(w.visitor, "home", wait=False)
    ours = [hellos.get(timeout=30) for _ in range(4)]

    lacks, less = [], theirs
    for what, parts in LACKS.items():
        mine = {"groups": ours[0].groups, "signatures": ours[0].signatures,
                "extensions": ours[0].extensions}
        if not any(n in mine[part] for part, numbers in parts.items() for n in numbers):
            lacks.append(what)
            less = less.without(**parts)
    print(f"JA4 of Chromium {theirs.ja4()}, of the agent {ours[0].ja4()}; the library lacks: "
          f"{', '.join(lacks) or 'nothing'}", "and pads" if PADDING in ours[0].extensions else "")
    for one in ours:
        if "ML-KEM" in lacks:
            one = one.without(extensions=(PADDING,))
        assert one.ja4() == less.ja4(), f"JA4 {one.ja4()}, but Chromium's is {less.ja4()}"
        wanted, got = less.fields(), one.fields()
        differs = {name: (got[name], x) for name, x in wanted.items() if got[name] != x}
        assert not differs, f"(ours, Chromium's): {differs}"
    # Nor does the order tell: it is drawn for each connection.
    assert len({tuple(one.order) for one in ours}) > 1, ours[0].order
