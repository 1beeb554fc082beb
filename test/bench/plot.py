#!/usr/bin/env python3
"""plot.py [--check] [RESULT.json] - pictures of the bench's numbers.

Draws docs/bench.svg and docs/bench-redis.svg from the tables in README.md; with
a result of `make bench` (build/bench/result.json) build/bench/bench.svg from
that. With --check nothing is written: it fails when a picture in docs/ is not
what the tables give. Needs nothing but Python.
"""
import html
import json
import math
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
ROW, LEFT, WIDTH, RIGHT = 24, 310, 380, 130
STYLE = ("text{fill:#1f2430}.n{fill:#69707d}.g{stroke:#c9ced6}"
         ".one{stroke:#444b57;stroke-width:1.5}.a{fill:#3b6ea5}"
         ".b{fill:#b0763a}.bg{fill:#fff}")


def readme_tables():
    """The tables of numbers: lists of (title, nadb, other, ratio)."""
    with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as f:
        text = f.read()
    text = text[text.index("\n## Numbers"):]
    tables = []
    for block in re.findall(r"(?:^\|.*\n)+", text, re.M):
        rows = []
        for line in block.splitlines()[2:]:
            cells = [c.strip() for c in line.strip("|").split("|")]
            if len(cells) == 4 and re.match(r"[\d.]+$", cells[3]):
                rows.append((cells[0], cells[1], cells[2], float(cells[3])))
        if rows:
            tables.append(rows)
    return tables


def short(x):
    if x >= 1e6:
        return f"{x / 1e6:.2f}M"
    if x >= 1e4:
        return f"{x / 1e3:.0f}k"
    return f"{x:.0f}" if x >= 100 else f"{x:.1f}"


def result_rows(path):
    with open(path, encoding="utf-8") as f:
        result = json.load(f)
    return [(line["name"], short(line["nadb"]), short(line["sqlite"]),
             line["nadb"] / line["sqlite"])
            for line in result["lines"] if line.get("sqlite")]


def draw(rows, title, other):
    """Bars from 1 on, to the right where nadb's number is the larger one; the
    scale is logarithmic."""
    least = min([0.5] + [r[3] for r in rows])
    most = max([2.0] + [r[3] for r in rows])
    low = math.floor(math.log10(least) * 2) / 2
    high = math.ceil(math.log10(most) * 2) / 2

    def x(value):
        return LEFT + (math.log10(value) - low) / (high - low) * WIDTH

    height = 62 + ROW * len(rows)
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 '
        f'{LEFT + WIDTH + RIGHT} {height + 24}" font-family="sans-serif" '
        f'font-size="13">',
        "<!-- Drawn by test/bench/plot.py from the numbers in README.md. -->",
        f"<style>{STYLE}</style>",
        '<rect class="bg" width="100%" height="100%"/>',
        f'<text x="10" y="22" font-size="15">{html.escape(title)}</text>',
        f'<text class="n" x="10" y="41">nadb / {html.escape(other)}; '
        'bars to the right of 1: the number of nadb is larger</text>',
    ]
    for tick in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100):
        if not low <= math.log10(tick) <= high:
            continue
        name = "one" if tick == 1 else "g"
        out.append(f'<line class="{name}" x1="{x(tick):.1f}" y1="52" '
                   f'x2="{x(tick):.1f}" y2="{height}"/>')
        out.append(f'<text class="n" x="{x(tick):.1f}" y="{height + 16}" '
                   f'text-anchor="middle">{tick:g}</text>')
    for i, (name, ours, theirs, ratio) in enumerate(rows):
        y = 58 + ROW * i
        begin, end = sorted((x(1), x(ratio)))
        kind = "a" if ratio >= 1 else "b"
        out.append(f'<text x="{LEFT - 10}" y="{y + 13}" text-anchor="end">'
                   f"{html.escape(name)}</text>")
        out.append(f'<rect class="{kind}" x="{begin:.1f}" y="{y + 2}" '
                   f'width="{max(end - begin, 1):.1f}" height="{ROW - 8}"/>')
        out.append(f'<text class="n" x="{LEFT + WIDTH + 8}" y="{y + 13}">'
                   f"{html.escape(ours)} / {html.escape(theirs)}</text>")
    out.append("</svg>")
    return "\n".join(out) + "\n"


def main():
    args = [a for a in sys.argv[1:] if a != "--check"]
    if args:
        path = os.path.join(os.path.dirname(os.path.abspath(args[0])),
                            "bench.svg")
        with open(path, "w", encoding="utf-8") as f:
            f.write(draw(result_rows(args[0]), "make bench", "SQLite"))
        print(path)
        return
    tables = readme_tables()
    pictures = {
        "bench.svg": draw(tables[0], "nadb and a plain SQLite table",
                          "SQLite"),
        "bench-redis.svg": draw(tables[1], "nadb on Redis and redis-benchmark",
                                "redis-benchmark"),
    }
    for name, text in pictures.items():
        path = os.path.join(ROOT, "docs", name)
        if "--check" not in sys.argv:
            with open(path, "w", encoding="utf-8") as f:
                f.write(text)
            print(path)
            continue
        with open(path, encoding="utf-8") as f:
            if f.read() != text:
                sys.exit(f"docs/{name} is not what README.md gives: "
                         "run python3 test/bench/plot.py")
    if "--check" in sys.argv:
        print("ok")


if __name__ == "__main__":
    main()
