#!/usr/bin/env python3
"""pictures.py [--check] - draws architecture.svg and life-of-a-write.svg.

The lists below are the source of the two pictures: boxes, arrows and words, in
units of a pixel. (state.svg and mixed-commit.svg are written by hand: they are
their own source.) With --check nothing is written: it fails when a picture is
not what the lists give. pages.test runs that.
"""
import html
import os
import sys

FOLDER = os.path.dirname(os.path.abspath(__file__))
STYLE = (".bg{fill:#fff}.sql{fill:#ece6f5;stroke:#6a4c93}"
         ".ext{fill:#dbe9f6;stroke:#33638d}.core{fill:#e5f3df;stroke:#3d7a2a}"
         ".disk{fill:#fdf1d3;stroke:#a67c00}.frame{fill:none;stroke:#999;"
         "stroke-dasharray:5 4}.t{fill:#222}.h{fill:#222;font-weight:bold}"
         ".n{fill:#666;font-size:12px}.bad{fill:#a11;font-size:12px}"
         ".line{stroke:#333;stroke-width:1.4;fill:none;marker-end:url(#e)}"
         ".axis{stroke:#333;stroke-width:1.5}.cut{stroke:#a11;"
         "stroke-dasharray:4 4}")

# kind, x, y, width, height, heading, lines of text
ARCHITECTURE = {
    "size": (890, 524),
    "boxes": [
        ("frame", 10, 10, 710, 380, "", []),
        ("sql", 30, 46, 670, 50, "SQLite", [
            "parser, planner, ordinary tables, transactions"]),
        ("ext", 30, 120, 670, 50, "ext/", [
            "virtual table, SQL functions, tables such as nadb_stats"]),
        ("core", 30, 194, 670, 50, "core/kv", [
            "sessions, batches, cursors, tags, expiry, indexes"]),
        ("core", 30, 268, 280, 50, "core/engine", [
            "log, memtable, commit, flush, recovery"]),
        ("core", 330, 268, 100, 50, "core/map", ["turns, views"]),
        ("ext", 30, 336, 130, 42, "fs", ["sorted tables"]),
        ("ext", 180, 336, 130, 42, "redis, buffered", ["behind a log"]),
        ("ext", 330, 336, 100, 42, "array", ["an example"]),
        ("ext", 450, 336, 75, 42, "memory", ["engine"]),
        ("ext", 540, 336, 70, 42, "redis", ["engine"]),
        ("ext", 625, 336, 75, 42, "backup", ["read-only"]),
        ("disk", 30, 440, 120, 60, "demo.db", ["the database file"]),
        ("disk", 170, 440, 250, 60, "demo.db-nadb/main/kv..", [
            "control, logs and memtables (mapped),",
            "MANIFEST, sorted tables, values"]),
        ("disk", 500, 440, 110, 60, "server", ["Redis, Valkey"]),
        ("disk", 625, 440, 75, 60, "backups", ["a folder"]),
        ("frame", 740, 190, 140, 120, "another process", [
            "same library,", "same files:", "it sees each COMMIT",
            "in its next statement"]),
    ],
    "words": [("h", 24, 32, "your process"),
              ("n", 130, 32, "sqlite3 shell, Python, Node, Perl, C, ..")],
    "arrows": [
        (365, 96, 365, 118), (365, 170, 365, 192), (170, 244, 170, 266),
        (380, 244, 380, 266), (487, 244, 487, 334), (575, 244, 575, 334),
        (662, 244, 662, 334), (95, 318, 95, 334), (245, 318, 245, 334),
        (380, 318, 380, 334),
        (22, 96, 22, 420, 60, 438), (95, 378, 230, 438),
        (245, 378, 330, 438), (575, 378, 565, 438), (270, 378, 530, 438),
        (662, 378, 662, 438), (810, 310, 810, 514, 295, 514, 295, 502),
    ],
}

LIFE = {
    "size": (930, 400),
    "boxes": [
        ("sql", 20, 40, 120, 58, "INSERT", ["into the batch", "of the session"]),
        ("ext", 160, 40, 160, 58, "COMMIT: xSync", [
            "one pwrite() appends", "the record to the log"]),
        ("ext", 350, 40, 175, 58, "COMMIT: xCommit", [
            "entries are linked into", "the memtable, visible + 1"]),
        ("core", 550, 40, 105, 58, "nadb-flush", [
            "syncs the log", "every second"]),
        ("core", 680, 40, 110, 58, "flush", ["a full log", "becomes a table"]),
        ("core", 810, 40, 110, 58, "compaction", [
            "merges tables,", "in steps"]),
        ("disk", 20, 150, 120, 46, "memory", ["of this process"]),
        ("disk", 160, 150, 365, 46, "000013.log, 000013.idx", [
            "mapped by every process that has the store open"]),
        ("disk", 550, 150, 105, 46, "disk", ["the log"]),
        ("disk", 680, 150, 240, 46, "000014.sst, .val, MANIFEST", [
            "written, synced; then the log goes"]),
    ],
    "words": [
        ("n", 20, 232, "other connections"), ("n", 20, 248, "do not see it"),
        ("n", 160, 232, "in doubt: writers of"),
        ("n", 160, 248, "the same key wait"),
        ("n", 350, 232, "every process sees it;"),
        ("n", 350, 248, "COMMIT returns"),
        ("t", 20, 312, "kill -9:"), ("bad", 110, 312, "not there"),
        ("t", 342, 312, "there, whole"),
        ("t", 20, 352, "power cut:"), ("bad", 110, 352, "not there"),
        ("bad", 342, 352, "may be lost, as a whole"),
        ("t", 674, 352, "there, whole"),
        ("n", 20, 386, "With synchronous=full COMMIT itself syncs the log, "
                       "and returns after that."),
        ("n", 880, 278, "time"),
    ],
    "arrows": [
        (140, 69, 158, 69), (320, 69, 348, 69), (525, 69, 548, 69),
        (655, 69, 678, 69), (790, 69, 808, 69), (80, 98, 80, 148),
        (240, 98, 240, 148), (437, 98, 437, 148), (602, 98, 602, 148),
        (735, 98, 735, 148), (865, 98, 865, 148), (20, 290, 915, 290),
    ],
    "cuts": [(335, 30, 335, 325), (667, 30, 667, 365)],
}


def draw(picture):
    width, height = picture["size"]
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} '
        f'{height}" font-family="sans-serif" font-size="13">',
        "<!-- Drawn by docs/pictures.py, which is its source. -->",
        f"<style>{STYLE}</style>",
        '<defs><marker id="e" markerWidth="9" markerHeight="9" refX="8" '
        'refY="4" orient="auto"><path d="M0,0 L8,4 L0,8 z" fill="#333"/>'
        "</marker></defs>",
        '<rect class="bg" width="100%" height="100%"/>',
    ]
    for points in picture["arrows"]:
        pairs = [f"{x},{y}" for x, y in zip(points[::2], points[1::2])]
        out.append(f'<path class="line" d="M{" L".join(pairs)}"/>')
    for x1, y1, x2, y2 in picture.get("cuts", []):
        out.append(f'<line class="cut" x1="{x1}" y1="{y1}" x2="{x2}" '
                   f'y2="{y2}"/>')
    for kind, x, y, w, h, heading, lines in picture["boxes"]:
        out.append(f'<rect class="{kind}" x="{x}" y="{y}" width="{w}" '
                   f'height="{h}"/>')
        if heading:
            out.append(f'<text class="h" x="{x + 9}" y="{y + 18}">'
                       f"{html.escape(heading)}</text>")
        for i, line in enumerate(lines):
            out.append(f'<text class="n" x="{x + 9}" y="{y + 35 + 15 * i}">'
                       f"{html.escape(line)}</text>")
    for kind, x, y, text in picture["words"]:
        out.append(f'<text class="{kind}" x="{x}" y="{y}">'
                   f"{html.escape(text)}</text>")
    out.append("</svg>")
    return "\n".join(out) + "\n"


def main():
    for name, picture in (("architecture.svg", ARCHITECTURE),
                          ("life-of-a-write.svg", LIFE)):
        path = os.path.join(FOLDER, name)
        if "--check" not in sys.argv:
            with open(path, "w", encoding="utf-8") as f:
                f.write(draw(picture))
            print(path)
            continue
        with open(path, encoding="utf-8") as f:
            if f.read() != draw(picture):
                sys.exit(f"docs/{name} is not what docs/pictures.py draws: "
                         "run it")
    if "--check" in sys.argv:
        print("ok")


if __name__ == "__main__":
    main()
