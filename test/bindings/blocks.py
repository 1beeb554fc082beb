#!/usr/bin/env python3
"""blocks.py PAGE LANGUAGE FOLDER EXTENSION - the code of a page, as files.

Writes FOLDER/block1.EXTENSION, block2.., the page's blocks of this language;
FOLDER/page.EXTENSION, all of them in order; and FOLDER/page.out, the ```text
blocks that stand right behind them: what the page says it prints.
"""
import os
import re
import sys

page, language, folder, extension = sys.argv[1:]
with open(page, encoding="utf-8") as f:
    text = f.read()
blocks, out, follows = [], "", False
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
if not blocks:
    sys.exit(f"{page}: no block of {language}")


def write(name, content):
    with open(os.path.join(folder, name), "w", encoding="utf-8") as f:
        f.write(content)


for i, block in enumerate(blocks, 1):
    write(f"block{i}.{extension}", block)
write(f"page.{extension}", "\n".join(blocks))
write("page.out", out)
