# SPDX-License-Identifier: Apache-2.0
"""report: from samples to the tables: medians, ranges, aims, and ratios to the best peer."""
import statistics


class Row:
    """One line of the table: a field of one measurement's result."""

    def __init__(self, title, test, field, higher=False, digits=1, aim=None, only_secure=False):
        self.title, self.test, self.field = title, test, field
        self.higher, self.digits, self.aim = higher, digits, aim
        self.only_secure = only_secure  # the ratio is to peers that do TLS handshakes too


ROWS = (
    Row("bulk, 1 session (Gbit/s)", "bulk1", "gbit_per_s", higher=True, aim=1.8),
    Row("bulk, 64 sessions (Gbit/s)", "bulk64", "gbit_per_s", higher=True, aim=1.8),
    Row("relay CPU, 1 session (s/GiB)", "bulk1", "cpu_s_per_gib", digits=3, aim=0.5),
    Row("relay CPU, 64 sessions (s/GiB)", "bulk64", "cpu_s_per_gib", digits=3, aim=0.5),
    Row("ping-pong, 1 session, p50 (us)", "ping1", "p50_us"),
    Row("ping-pong, 1 session, p99 (us)", "ping1", "p99_us", aim=1.0),
    Row("ping-pong, 1,000 sessions, p50 (us)", "ping1000", "p50_us"),
    Row("ping-pong, 1,000 sessions, p99 (us)", "ping1000", "p99_us", aim=1.0),
    Row("new sessions (1/s)", "rate", "per_s", higher=True, digits=0, only_secure=True),
    Row("relay CPU per new session (us)", "rate", "cpu_us_each", digits=0, only_secure=True),
    Row("new sessions, warm legs (1/s)", "warm", "per_s", higher=True, digits=0),
    Row("STUN answers (1/s)", "stun", "per_s", higher=True, digits=0),
    Row("relay CPU per STUN answer (us)", "stun", "cpu_us_each", digits=2, aim=0.5),
    Row("user memory per idle session (bytes)", "idle", "bytes_per_session", digits=0, aim=1024),
)
MEMORY_FIELD = "bytes_per_session"  # its aim is absolute


def samples(results, relay, row):
    return [r[row.field] for r in results.get((relay.name, row.test), [])]


def median(results, relay, row):
    values = samples(results, relay, row)
    return statistics.median(values) if values else None


def number(value, digits):
    return f"{value:,.{digits}f}"


def spread(values, digits):
    """The median, and the lowest and highest of several."""
    text = number(statistics.median(values), digits)
    if len(values) > 1:
        text += f" ({number(min(values), digits)}–{number(max(values), digits)})"
    return text


def cell(results, relay, row):
    values = samples(results, relay, row)
    return spread(values, row.digits) if values else "–"


def ratio_to_best(results, relays, ours, row, tuned):
    """Ours by the best peer's median; tuned: peers beyond their shipped settings count too."""
    mine = median(results, ours, row)
    theirs = [median(results, r, row) for r in relays
              if r.peer and (tuned or not r.tuned) and (r.secure or not row.only_secure)]
    theirs = [value for value in theirs if value is not None]
    if mine is None or not theirs:
        return None
    best = max(theirs) if row.higher else min(theirs)
    return mine / best if best else None


def verdict(results, relays, ours, row):
    """(text of the aim, met or None)."""
    if row.aim is None:
        return "", None
    if row.field == MEMORY_FIELD:
        mine = median(results, ours, row)
        return "≤ 1,024", None if mine is None else mine <= row.aim
    ratio = ratio_to_best(results, relays, ours, row, False)
    sign = "≥" if row.higher else "≤"
    if ratio is None:
        return f"{sign} {row.aim:.1f}", None
    return f"{sign} {row.aim:.1f}", ratio >= row.aim if row.higher else ratio <= row.aim


def lines(results, relays, ours):
    """The table's cells: a head and one list per row."""
    has_tuned = any(r.tuned for r in relays)
    head = ["", *[r.name for r in relays], "ratio"] + (["ratio, tuned"] if has_tuned else [])
    out = [head + ["aim", "met"]]
    for row in ROWS:
        cells = [row.title] + [cell(results, r, row) for r in relays]
        for tuned in [False, True] if has_tuned else [False]:
            ratio = ratio_to_best(results, relays, ours, row, tuned)
            cells.append("" if ratio is None else f"{ratio:.2f}")
        aim, met = verdict(results, relays, ours, row)
        out.append(cells + [aim, {None: "", True: "yes", False: "no"}[met]])
    return out


class Managed:
    """One line of the second table: samples of manage.py."""

    def __init__(self, title, name, higher=False, digits=1, aim=None):
        self.title, self.name, self.higher, self.digits = title, name, higher, digits
        self.aim = aim

    def line(self, values):
        text, middle = spread(values, self.digits), statistics.median(values)
        if self.aim is None:
            return [self.title, text, "", ""]
        met = middle >= self.aim if self.higher else middle <= self.aim
        sign = "≥" if self.higher else "≤"
        return [self.title, text, f"{sign} {self.aim:g}", "yes" if met else "no"]


MANAGED = (
    Managed("bulk, 64 sessions: asked 10 times a second, by not asked", "polled_ratio",
            higher=True, digits=3, aim=0.97),
    Managed("times asked and answered (1/s)", "polls_per_s", higher=True, aim=9),
    Managed("status and sessions, answered under that load (ms)", "poll_ms"),
    Managed("apply: 10,000 rules where one was (ms)", "apply_new", aim=100),
    Managed("apply: all 10,000 rules differ (ms)", "apply_other", aim=100),
    Managed("apply: one of 10,000 rules differs (ms)", "apply_one", aim=100),
    Managed("the first, 1,000 sessions looked at again (ms)", "apply_new_live", aim=100),
    Managed("the second, 1,000 sessions looked at again (ms)", "apply_other_live", aim=100),
    Managed("the third, 1,000 sessions looked at again (ms)", "apply_one_live", aim=100),
    Managed("limit of a session, 20 MB/s: off over ten seconds (%)", "limit_per_session",
            digits=2, aim=5),
    Managed("limit of an agent, 50 MB/s on 8 sessions: off (%)", "limit_per_agent", digits=2,
            aim=5),
    Managed("limit of the relay, 100 MB/s on 64 sessions: off (%)", "limit_relay", digits=2,
            aim=5),
)


def managed_lines(samples, decisions):
    """The cells of the second table; no rows but its head where nothing was measured."""
    out = [["managing Postern", "", "aim", "met"]]
    out += [row.line(samples[row.name]) for row in MANAGED if row.name in samples]
    for d in decisions:
        out.append(Managed(f"decision: {d['name']} (us)", "", digits=2, aim=10)
                   .line([d["decision_us"]]))
    if decisions:
        out.append(Managed("compiling the slowest of these policies (ms)", "")
                   .line([max(d["compile_ms"] for d in decisions)]))
    return out


def managed_plain(table):
    width = max(len(row[0]) for row in table)
    out = []
    for title, text, aim, met in table[1:]:
        verdict_text = f"aim {aim}: {'met' if met == 'yes' else 'NOT MET'}" if aim else ""
        out.append(f"{title:<{width}}  {text:<24} {verdict_text}".rstrip())
    return "\n".join(out)


def plain(table):
    """For a terminal: one block per row, since seven columns with ranges fit no screen."""
    head, out = table[0], []
    for row in table[1:]:
        cells = dict(zip(head, row))
        if all(cells[name] == "–" for name in head[1:head.index("ratio")]):
            continue  # not among the tests of this run
        aim = f"   aim {cells['aim']}: {'met' if cells['met'] == 'yes' else 'NOT MET'}" \
            if cells["met"] else ""
        ratio = f"   ratio to best peer {cells['ratio']}" if cells["ratio"] else ""
        tuned = cells.get("ratio, tuned", "")
        if tuned and tuned != cells["ratio"]:
            ratio += f" (tuned peers too: {tuned})"
        out.append(f"{row[0]}{ratio}{aim}")
        out += [f"    {name:<14} {cells[name]}" for name in head[1:head.index("ratio")]
                if cells[name] != "–"]
    return "\n".join(out)


def markdown(table):
    rows = ["| " + " | ".join(row) + " |" for row in table]
    rule = "|" + "|".join(["---"] + ["--:"] * (len(table[0]) - 1)) + "|"
    return "\n".join([rows[0], rule] + rows[1:])
