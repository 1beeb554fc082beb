#!/usr/bin/env python3
"""blocks.py PAGE LANGUAGE FOLDER EXTENSION - the code of a page, as files.

Writes FOLDER/block1.EXTENSION, block2.., the page's blocks of this language;
FOLDER/page.EXTENSION, all of them in order; and FOLDER/page.out, the ```text
blocks that stand right behind them: what the page says it prints.

A line "In `app.py` beside ..:" with indented commands below it says how to try
the blocks down to the first output. FOLDER/start.sh writes them into that file
and runs the commands, but for those that install something; start.out is the
output.
"""
import os
import re
import sys

page, language, folder, extension = sys.argv[1:]
with open(page, encoding="utf-8") as f:
    text = f.read()
blocks, out, follows = [], "", False
start = start_out = None
for m in re.finditer(r"^```(\w*)\n(.*?)^```$|^(?=\S)(?!```)[^\n]+$", text,
                     re.S | re.M):
    if m.group(2) is None:
        follows = False
    elif m.group(1) == language:
        blocks.append(m.group(2))
        follows = True
    elif m.group(1) == "text" and follows:
        out += m.group(2)
        follows = False
        if start is None:
            start, start_out = "\n".join(blocks), m.group(2)
if not blocks:
    sys.exit(f"{page}: no block of {language}")


def write(name, content):
    with open(os.path.join(folder, name), "w", encoding="utf-8") as f:
        f.write(content)


for i, block in enumerate(blocks, 1):
    write(f"block{i}.{extension}", block)
write(f"page.{extension}", "\n".join(blocks))
write("page.out", out)
how = re.search(r"^In `(\S+)` beside [^:]*:\n\n((?: {4}.*\n)+)", text, re.M)
if how and start:
    commands = re.sub(r"^ {4}(?:(?:apt-get|npm) install .*\n)?", "", how.group(2),
                      flags=re.M)
    write("start.sh", f"set -e\ncat >{how.group(1)} <<'END OF THE PAGE'\n{start}"
          f"END OF THE PAGE\n{commands}")
    write("start.out", start_out)
