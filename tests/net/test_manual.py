# SPDX-License-Identifier: Apache-2.0
"""The manual pages tell of the options that the programs tell of, each with its value, and of no
others; and what the pages name is there.  (Of the keys in postern.yaml(5)
tests/unit/config_doc_test.c asks the same.)"""
import os
import pathlib
import re

from runner import once

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
DAEMONS = ("postern-relayd", "postern-agent")
VALUES = {"user": "nobody", "proxy": "http://127.0.0.1:3128"}  # of keys that are no duration


def page(name):
    with open(os.path.join(ROOT, "man", name), encoding="utf-8") as f:
        return f.read()


def sections(text, level):
    """{title: lines} of a page's .Sh or .Ss."""
    stop = r"\.S[sh] " if level == "Ss" else r"\.Sh "
    found = re.findall(rf"^\.{level} (.*)\n((?:(?!{stop}).*\n)*)", text, re.MULTILINE)
    titles = [title for title, _ in found]
    assert len(set(titles)) == len(titles), f"a section stands there twice: {titles}"
    return dict(found)


def written(text):
    """{option: its values in capitals} of the items ".It Fl ..."; one that takes none has ""."""
    found = {}
    for item in re.findall(r"^\.It (Fl .*)", text, re.MULTILINE):
        for option in item.split(" , "):
            option = re.sub(r" (Ns )?: Ns ", ":", option).replace(" ]", "]")
            words = re.sub(r" ?Ns ?|\bAr ", "", option).split()
            assert words[0] == "Fl", f"'.It {item}' is not understood"
            long = words[1] == "Fl"
            name = f"--{words[2]}" if long else f"-{words[1]}"
            found.setdefault(name, set()).add(" ".join(words[3 if long else 2:]).upper())
    return found


def told(text):
    """{option: its value} of the lines of a program's help."""
    found = {}
    for short, name, value in re.findall(
            r"^ +(?:(-\w), )?(--[a-z0-9-]+)(?: ([A-Z][^ \n]*)(?: \.\.\.)?)?(?= |$)", text,
            re.MULTILINE):
        found[name] = value
        if short:
            found[short] = value
    return found


def compare(where, text, help_text, values=True):
    """values: whether the page calls values what the program calls them."""
    in_page, in_program = written(text), told(help_text)
    assert set(in_page) == set(in_program), \
        f"{where}: {sorted(set(in_page) ^ set(in_program))} is in one only"
    for name, value in in_program.items():
        right = value in in_page[name] if values else bool(value) == (in_page[name] != {""})
        assert right, f"{where}: {name} takes '{value}', the page says {in_page[name]}"


def commands(lab, host):
    """{name: its help}, as postern tells them."""
    found = {}
    for line in host.run([f"{lab.build}/postern", "--help"]).stdout.splitlines():
        name = re.match(r"  ((?:[a-z]+ ?)+)", line)
        if name and not name.group(1).startswith("postern "):
            words = name.group(1).split()
            said = host.run([f"{lab.build}/postern", "help", *words[:3]], check=False).stdout
            while words and not said.startswith(f"usage: postern {' '.join(words)}"):
                words.pop()
            found[" ".join(words)] = said
    return found


@once
def test_manual(lab):
    """postern(1) has a section for every command with every option, and no others."""
    lab.internet()
    host = lab.public("host", "45.0.0.2")
    text = page("postern.1")
    of_commands, helps = sections(text, "Ss"), commands(lab, host)
    assert len(helps) > 30 and "" not in helps, sorted(helps)
    assert set(of_commands) == set(helps), set(of_commands) ^ set(helps)
    for name, said in helps.items():
        compare(f"postern(1), {name}", of_commands[name], said)
        other = host.run([f"{lab.build}/postern", *name.split(), "--help"]).stdout
        assert other == said, f"'postern {name} --help' is not 'postern help {name}'"
    overview = host.run([f"{lab.build}/postern", "--help"]).stdout
    common = written(sections(text, "Sh")["OPTIONS"])
    assert {x for x in common if x in told(overview)} == set(told(overview)), \
        f"{sorted(told(overview))} of --help; OPTIONS has {sorted(common)}"
    for name in set(common) - set(told(overview)):
        done = host.run([f"{lab.build}/postern", name])
        assert done.stdout, f"OPTIONS has {name}, which says nothing"


@once
def test_manual_daemons(lab):
    """postern-relayd(8) and postern-agent(8) likewise; their synopsis is the usage."""
    lab.internet()
    host = lab.public("host", "45.0.0.2")
    for name in DAEMONS:
        text = page(f"{name}.8")
        said = host.run([f"{lab.build}/{name}", "--help"]).stdout
        compare(f"{name}(8)", sections(text, "Sh")["DESCRIPTION"], said, values=False)
        usage = set(re.findall(r"--?[a-z-]+", said.splitlines()[0].partition(name)[2]))
        synopsis = sections(text, "Sh")["SYNOPSIS"]
        in_synopsis = {f"--{x}" for x in re.findall(r"Fl Fl ([a-z-]+)", synopsis)} | \
            {f"-{x}" for x in re.findall(r"(?<!Fl )Fl ([a-z])\b", synopsis)}
        assert usage == in_synopsis - {"--version", "--help"}, (name, usage, in_synopsis)
        for option in in_synopsis - usage:
            assert host.run([f"{lab.build}/{name}", option]).stdout, f"{name} {option}"


@once
def test_manual_of_console_file(lab):
    """The keys that postern(1) names are those of a console's file, and no other of an agent's."""
    lab.internet()
    host = lab.public("host", "45.0.0.2")
    sentence = re.search(r"^Its file has the keys\n((?:.*\n)+?)of an agent's", page("postern.1"),
                         re.MULTILINE)
    keys = set(re.findall(r"\.Cm ([a-z_ ,]+?)(?: ,)?\n", sentence.group(1)))
    keys = {k for group in keys for k in re.split(r"[ ,]+", group) if k}
    host.run([f"{lab.build}/postern", "pki", "init", lab.path("pki")])
    file = lab.path("ops.yaml")
    host.run([f"{lab.build}/postern", "pki", "issue", lab.path("pki"), "console", "ops", "--relay",
              "127.0.0.1:443", "--out", file])
    agent_keys = {k for k in re.findall(r"^\.It Cm ([a-z_0-9]+)$",
                                        sections(page("postern.yaml.5"), "Sh")["AGENT KEYS"],
                                        re.MULTILINE)}
    assert keys < agent_keys, keys - agent_keys
    with open(file, encoding="utf-8") as f:
        text = f.read()
    for key in agent_keys:
        path = lab.write("with.yaml", text if f"\n{key}:" in f"\n{text}" else
                         text + f"{key}: {VALUES.get(key, '1s')}\n")
        os.chmod(path, 0o600)
        said = host.run([f"{lab.build}/postern", "--as", path, "relay", "status"],
                        check=False).stderr
        assert ("not a known key" in said) == (key not in keys), f"{key}: {said}"


@once
def test_manual_paths(lab):
    """Each path in backticks, and each link, of the README and the pages in docs/ leads somewhere."""
    top = pathlib.Path(ROOT)
    pages = [*top.glob("*.md"), *top.glob("docs/*.md"), top / "portmap/README.md"]
    seen, lost = 0, []
    for page_path in pages:
        text = page_path.read_text(encoding="utf-8")
        for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
            seen += 1
            if not (page_path.parent / link).exists():
                lost.append(f"{page_path.name}: ({link})")
        for word in re.findall(r"`([a-z]+/[\w./*-]+)`", text):
            if (top / word.split("/")[0]).is_dir() and not re.search("/x|NAME", word) and "build/" not in word:
                seen += 1
                if not list(top.glob(word.rstrip("/"))) and not (top / f"{word}.c").is_file():
                    lost.append(f"{page_path.name}: {word}")
    assert not lost, lost
    assert seen > 150, f"only {seen} paths were found"
