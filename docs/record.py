#!/usr/bin/env python3
"""record.py - `make pictures`: a recording of `make demo`.

Runs sql/demo.sh on a terminal of its own, and writes what it prints, with its
times, to docs/demo.cast (asciinema's format, version 2; `asciinema play` shows
it) and to docs/demo.svg, a picture in which the lines go by at a pace to read.
"""
import html
import json
import os
import pty
import re
import subprocess
import time

FOLDER = os.path.dirname(os.path.abspath(__file__))
COLUMNS, ROWS = 84, 26
PAUSE = 1.0  # at most, in the recording
LINE, PACE = 17, 0.16  # pixels a line; seconds a line


def record():
    """[(seconds, text)] of the demo's output."""
    master, slave = pty.openpty()
    env = dict(os.environ, COLUMNS=str(COLUMNS), LINES=str(ROWS), TERM="xterm")
    program = subprocess.Popen(
        ["bash", os.path.join(os.path.dirname(FOLDER), "sql", "demo.sh")],
        stdin=slave, stdout=slave, stderr=slave, env=env)
    os.close(slave)
    events = []
    now = 0.0
    last = time.monotonic()
    while True:
        try:
            data = os.read(master, 65536)
        except OSError:  # the end
            data = b""
        if not data:
            break
        here = time.monotonic()
        now += min(here - last, PAUSE)
        last = here
        events.append([round(now, 3), data])
    if program.wait() != 0:
        raise SystemExit("the demo has failed")
    # a character may be cut between two reads
    text = b"".join(d for _, d in events).decode("utf-8")
    whole, done = [], 0
    for at, data in events:
        n = len(data.decode("utf-8", "ignore"))
        whole.append((at, text[done:done + n]))
        done += n
    return whole + ([(now, text[done:])] if done < len(text) else [])


def write_cast(events):
    with open(os.path.join(FOLDER, "demo.cast"), "w", encoding="utf-8") as f:
        head = {"version": 2, "width": COLUMNS, "height": ROWS,
                "title": "make demo"}
        f.write(json.dumps(head) + "\n")
        for at, text in events:
            f.write(json.dumps([at, "o", text], ensure_ascii=False) + "\n")


def write_svg(events):
    text = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", "".join(t for _, t in events))
    lines = text.replace("\r", "").rstrip("\n").split("\n")
    width, height = COLUMNS * 8 + 24, ROWS * LINE + 24
    moved = (len(lines) - ROWS) * LINE
    seconds = (len(lines) - ROWS) * PACE
    total = seconds + 5  # the end stays for a while
    stop = 100 * seconds / total
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} '
        f'{height}" font-family="monospace" font-size="13">',
        "<!-- Made by docs/record.py from what `make demo` prints. -->",
        "<style>text{fill:#d8dee9;white-space:pre}.h{fill:#8fbcbb}"
        "@keyframes s{0%{transform:translateY(0)}"
        f"{stop:.1f}%,100%{{transform:translateY(-{moved}px)}}}}"
        f"#l{{animation:s {total:.0f}s steps({len(lines) - ROWS}) infinite}}"
        "</style>",
        f'<rect width="{width}" height="{height}" rx="6" fill="#242933"/>',
        f'<svg y="10" width="{width}" height="{height - 20}"><g id="l">',
    ]
    for i, line in enumerate(lines):
        if line:
            kind = ' class="h"' if line.startswith("──") else ""
            out.append(f'<text x="12" y="{LINE * i + 13}"{kind} '
                       f'xml:space="preserve">{html.escape(line)}</text>')
    out.append("</g></svg>\n</svg>\n")
    with open(os.path.join(FOLDER, "demo.svg"), "w", encoding="utf-8") as f:
        f.write("\n".join(out))


def main():
    events = record()
    write_cast(events)
    write_svg(events)
    print(os.path.join(FOLDER, "demo.cast"))
    print(os.path.join(FOLDER, "demo.svg"))


if __name__ == "__main__":
    main()
