# SPDX-License-Identifier: Apache-2.0
"""What an observer sees: ordinary TLS, from the first byte of each connection to its last."""
from capture import ALERT, APPLICATION_DATA, Capture, check_order, walk_records
from peers import MIB, WebCa, data, echo, nginx, receive_all, sha256
from runner import limit
from world import World


def whole_life(w):
    """A link, legs, sessions both ways through a forward, and a page by name."""
    lab = w.lab
    ca = WebCa(lab)
    content = data(2 * MIB, seed=4)
    nginx(w.home, port=8443, tls=ca.issue("www.example.org"), files={"file.bin": content})
    w.home.serve(7000, echo)

    def sender(sock, _peer):
        sock.sendall(content)
        sock.shutdown(1)
        sock.recv(1)

    w.home.serve(7001, sender)
    w.relay(public={"www.example.org": "home/web"})
    home = w.agent(w.home, "home", publish={"web": "127.0.0.1:8443", "echo": "127.0.0.1:7000",
                                            "file": "127.0.0.1:7001"}, public=["web"])
    laptop = w.agent(w.laptop, "laptop", forward={7000: "home/echo", 7001: "home/file"})
    for size in (1, 100, 70000):  # less than, and more than, what the envelope carries
        with w.laptop.connect("127.0.0.1", 7000) as s:
            s.sendall(content[:size])
            s.shutdown(1)
            assert receive_all(s) == content[:size]
    with w.laptop.connect("127.0.0.1", 7001) as s:
        assert sha256(receive_all(s)) == sha256(content)
    for version in ("1.2", "1.3"):
        got = w.visitor.run(["curl", "-sSf", "-m", "20", f"--tlsv{version}", "--tls-max", version,
                             "--cacert", ca.certificate, "https://www.example.org/file.bin", "-o",
                             lab.path("got.bin")])
        assert not got.stderr
        with open(lab.path("got.bin"), "rb") as f:
            assert sha256(f.read()) == sha256(content)
    w.visitor.run(["curl", "-sSf", "-m", "10", "--cacert", w.ca, "https://relay.example.org/"])
    return home, laptop


@limit(120)
def test_wire_looks_like_tls(lab):
    w = World(lab).two_homes()
    capture = Capture(w.relay_host)
    agents = whole_life(w)
    for agent in agents:  # their links and idle legs end in an orderly way, too
        agent.signal(15)
        agent.wait(5)
    capture.stop()
    rows = capture.fields(["frame.number", "tcp.stream", "tcp.len", "frame.protocols",
                           "tcp.reassembled_in", "tls.record.content_type",
                           "tls.record.opaque_type", "_ws.malformed", "_ws.expert.message",
                           "_ws.col.Info", "tcp.analysis.retransmission"],
                          "tcp.len > 0")
    assert len(rows) > 200, f"only {len(rows)} packets with payload"
    for row in rows:
        what = f"frame {row['frame.number']} of stream {row['tcp.stream']}: {row['_ws.col.Info']}"
        assert ":tls" in row["frame.protocols"] or row["tcp.reassembled_in"] \
            or row["tcp.analysis.retransmission"], f"not TLS: {what}"
        assert not row["_ws.malformed"] and "alformed" not in row["_ws.expert.message"], what
        assert "Ignored Unknown Record" not in row["_ws.col.Info"], what
        assert "Continuation Data" not in row["_ws.col.Info"], what
    # The same once more, by records, over each direction of each connection.
    streams = capture.streams()
    assert len(streams) >= 2 * 8, f"only {len(streams)} directions"
    for key, stream in streams.items():
        where = f"{'.'.join(map(str, key[0]))}:{key[1]} -> port {key[3]}"
        try:
            found = walk_records(stream)
            check_order(found)
        except AssertionError as e:
            raise AssertionError(f"{where}: {e}") from None
        kinds = {kind for kind, _v, _l in found}
        assert APPLICATION_DATA in kinds or kinds == {ALERT}, f"{where}: only {kinds}"
    print(f"{len(rows)} packets with payload in {len(streams) // 2} connections")
