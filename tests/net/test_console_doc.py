# SPDX-License-Identifier: Apache-2.0
"""docs/control.md tells the methods that the programs have, with levels, parameters and results."""
import json
import os

from runner import limit, once
from world import World

PAGE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../docs/control.md")


def cell(text):
    return text.replace("|", "\\|")


def told(schema):
    """What the page says of a program's methods, from the answer of its method `schema`."""
    lines = []
    for m in schema["methods"]:
        lines += [f"### {m['method']}", "", f"**{m['level']}** – {m['help']}", ""]
        if m["params"]:
            lines += ["| parameter | type | |", "|---|---|---|"]
            lines += [f"| `{p['name']}` | {p['type']}{', required' if p['required'] else ''} "
                      f"| {cell(p['help'])} |" for p in m["params"]]
            lines += [""]
        lines += [f"Result: `{m['result']}`", ""]
    return "\n".join(lines)


def section(page, name):
    begin, end = f"<!-- methods of {name} -->\n", f"<!-- end of {name} -->"
    assert begin in page and end in page, f"docs/control.md has no section {begin.strip()}"
    return page.split(begin)[1].split(end)[0].strip()


def compare(page, name, schema):
    is_told, should_be = section(page, name).splitlines(), told(schema).strip().splitlines()
    for number, (a, b) in enumerate(zip(is_told + [""], should_be + [""])):
        assert a == b, f"docs/control.md, {name}, line {number + 1}: it has\n  {a}\nand not\n  {b}"
    assert len(is_told) == len(should_be), f"docs/control.md, {name}: tells more or less methods"


@once
@limit(60)
def test_control_page_tells_every_method(lab):
    w = World(lab).one_host()
    socket = lab.path("relay.sock")
    w.relay(blocks={"control": {"socket": socket}})
    w.agent(w.relay_host, "home")
    console = lab.path("ops.yaml")
    w.tool("pki", "issue", w.pki, "console", "ops", "--relay",
           f"{w.relay_name}:{w.relay_port}", "--out", console)
    with open(PAGE, encoding="utf-8") as f:
        page = f.read()
    tool = os.path.join(lab.build, "postern")
    answer = w.relay_host.run([tool, "--socket", socket, "relay", "schema", "--json"]).stdout
    compare(page, "the relay", json.loads(answer))
    ask = ("(echo '{\"jsonrpc\": \"2.0\", \"id\": 1, \"method\": \"schema\"}'; sleep 2) | "
           "\"$0\" --as \"$1\" connect home/postern/control")
    answer = w.relay_host.run(["sh", "-c", ask, tool, console]).stdout
    compare(page, "an agent", json.loads(answer.splitlines()[0])["result"])
