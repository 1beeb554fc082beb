#!/usr/bin/env python3
"""site.py - `make site`: the pages of this folder as a web site.

usage: site.py [--check]

Collects the pages into build/site/pages, has mkdocs build build/site/html from
them (theme Material, both Debian packages), and prints that folder, last. With
--check it only looks at the pages: every one is in the nav of mkdocs.yml, every
line of the nav has a page, every link leads to a file or a heading that is
there. That needs no mkdocs, and pages.test runs it.

Pages that are not in docs/ get a name there (PAGES); each recipe of sql/recipes
becomes a page; these and the pages in docs/bindings enter the nav by themselves.
Of other files of the project to which a page links, those that are Markdown are
pages below more/, and the rest is copied below files/. All links are rewritten for
that. The site loads nothing from anywhere else: no font, no script, no picture;
the search also works in a page that is opened as a file (search/local.js).
"""
import html.parser
import json
import os
import posixpath
import re
import shutil
import subprocess
import sys
import urllib.parse

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.join(ROOT, "build", "site")
PAGES = {  # path in the project: name in the site
    "README.md": "readme.md",
    "ARCHITECTURE.md": "architecture.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "reporting.md",
    "docs/README.md": "index.md",
    "docs/bindings/README.md": "bindings/index.md",
}
LINK = re.compile(r"(!?\[(?:[^\]\[]|\[[^\]]*\])*\])\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```[ ]*$", re.M | re.S)


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as f:
        return f.read()


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)


# --- which pages there are ---


def recipe_files():
    folder = os.path.join(ROOT, "sql", "recipes")
    return ["sql/recipes/" + name for name in sorted(os.listdir(folder))]


def recipe_page(path):
    """A recipe as a page: its first comment, and the file."""
    text = read(path)
    mark = "#" if path.endswith(".py") else "--"
    language = "python" if mark == "#" else "sql"
    if language == "python":
        intro = re.search(r'"""(.*?)"""', text, re.S).group(1)
        intro = re.sub(r"^\S+ - ", "", intro.strip())
    else:
        lines = []
        for line in text.splitlines():
            if not line.startswith("--"):
                break
            lines.append(line[2:].strip())
        intro = "\n".join(lines)
        text = text.split("\n", len(lines))[-1].lstrip("\n")
    name = os.path.basename(path)
    intro = "\n\n".join(re.split(r"\n\s*\n", intro))
    return (f"# {name}\n\n{intro}\n\n```{language}\n{text.rstrip()}\n```\n")


def sources():
    """{path in the project: name in the site}, of all pages."""
    pages = {p: name for p, name in PAGES.items()
             if os.path.exists(os.path.join(ROOT, p))}
    for folder, dirs, names in os.walk(os.path.join(ROOT, "docs")):
        dirs[:] = [d for d in dirs if d != "theme"]
        for name in names:
            path = os.path.relpath(os.path.join(folder, name), ROOT)
            if name.endswith(".md") and path not in PAGES:
                pages[path] = path[len("docs/"):]
    for path in recipe_files():
        stem = os.path.splitext(os.path.basename(path))[0]
        pages[path] = f"recipes/{stem}.md"
    return pages


def other_pages():
    """Markdown that is no page of its own: the READMEs of other folders."""
    found = []
    for folder, dirs, names in os.walk(ROOT):
        dirs[:] = [d for d in dirs if d not in ("build", ".git", "node_modules")]
        found += [os.path.relpath(os.path.join(folder, name), ROOT)
                  for name in names if name.endswith(".md")]
    return found


def nav_pages():
    text = read("mkdocs.yml")
    nav = text[text.index("\nnav:"):]
    return re.findall(r"^ +- .*?: *(\S+\.md)$", nav, re.M)


# --- headings and links ---


def slug(heading):
    """As GitHub makes the anchor of a heading."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
    text = re.sub(r"[^\w\- ]", "", text.replace("`", "").strip().lower())
    return text.replace(" ", "-")


def anchors(text):
    found = {}
    for line in FENCE.sub("", text).splitlines():
        m = re.match(r"#{1,6} +(.*?)(?: *\{[^}]*\})?$", line)
        if m:
            name = slug(m.group(1))
            n = found.get(name, 0)
            found[name] = n + 1
            if n:
                found[f"{name}-{n}"] = 1
    found.update((a, 1) for a in re.findall(r'<a (?:id|name)="([^"]+)"', text))
    return found


def links(text):
    text = re.sub(r"<!--.*?-->", "", FENCE.sub("", text), flags=re.S)
    text = re.sub(r"`[^`\n]+`", "", text)
    for m in LINK.finditer(text):
        yield m.group(2)


def check():
    """Problems, as lines of text."""
    pages = sources()
    problems = []
    nav = nav_pages()
    for name in sorted(set(pages.values()) - set(nav)):
        if not name.startswith(("recipes/", "bindings/")) or \
                name.endswith("index.md"):
            problems.append(f"{name} is in no line of the nav of mkdocs.yml: "
                            "add one")
    for name in nav:
        if name not in pages.values():
            problems.append(f"mkdocs.yml: there is no page {name}")
        if nav.count(name) > 1:
            problems.append(f"mkdocs.yml: {name} is there twice")
    for path in sorted({*pages, *other_pages()}):
        if not path.endswith(".md"):
            if os.path.basename(path) not in read("docs/recipes.md"):
                problems.append(f"docs/recipes.md: no word of {path}")
            continue
        for target in links(read(path)):
            if re.match(r"[a-z]+:", target):
                continue
            to, _, anchor = target.partition("#")
            there = posixpath.normpath(
                posixpath.join(posixpath.dirname(path), to)) if to else path
            if not os.path.exists(os.path.join(ROOT, there)):
                problems.append(f"{path}: no file {target}")
            elif anchor and there.endswith(".md") and \
                    anchor not in anchors(read(there)):
                problems.append(f"{path}: no heading {target}")
    return problems


# --- the site ---


def rewrite(path, name, text, pages, files):
    """The text of the page with links that are right in the site."""

    def replaced(m):
        target = m.group(2)
        if re.match(r"[a-z]+:", target) or target.startswith("#"):
            return m.group(0)
        to, mark, anchor = target.partition("#")
        there = posixpath.normpath(posixpath.join(posixpath.dirname(path), to))
        if there in pages:
            place = pages[there]
        elif there.startswith("docs/"):
            place = there[len("docs/"):]
            files[there] = place
        else:
            place = "files/" + there
            if os.path.isdir(os.path.join(ROOT, there)):
                return m.group(1)[1:-1]  # a folder: its name is enough
            if there.endswith(".md"):
                place = "more/" + there.replace("/", "-")
            files[there] = place
        link = posixpath.relpath(place, posixpath.dirname(name) or ".")
        return f"{m.group(1)}({link}{mark}{anchor})"

    parts = re.split(r"(^```.*?^```[ ]*$|<!--.*?-->)", text,
                     flags=re.M | re.S)
    return "".join(p if p.startswith(("```", "<!--")) else
                   LINK.sub(replaced, p) for p in parts)


def collect():
    out = os.path.join(BUILD, "pages")
    shutil.rmtree(out, ignore_errors=True)
    pages = sources()
    files = {}
    for path, name in pages.items():
        text = read(path) if path.endswith(".md") else recipe_page(path)
        write(os.path.join(out, name), rewrite(path, name, text, pages, files))
    done = set()
    while set(files) - done:
        path = min(set(files) - done)
        name = files[path]
        done.add(path)
        to = os.path.join(out, name)
        if path.endswith(".md"):  # of a folder that is not docs/
            write(to, rewrite(path, name, read(path), pages, files))
            continue
        os.makedirs(os.path.dirname(to), exist_ok=True)
        shutil.copyfile(os.path.join(ROOT, path), to)


def title(path):
    return re.search(r"^# (.*)", read(path), re.M).group(1)


def settings():
    """mkdocs.yml with the recipes and the pages on languages in the nav."""
    text = read("mkdocs.yml").replace(": build/site/", f": {BUILD}/")
    text = text.replace("custom_dir: docs/theme",
                        f"custom_dir: {ROOT}/docs/theme")
    pages = sources()
    more = {
        "      - All recipes: recipes.md\n": [
            (os.path.splitext(os.path.basename(p))[0].replace("_", " "), name)
            for p, name in pages.items() if name.startswith("recipes/")],
        "      - ORMs and GUIs: orms.md\n": sorted(
            (title(p), name)
            for p, name in pages.items() if name.startswith("bindings/")
            and not name.endswith("index.md")),
    }
    for mark, lines in more.items():
        text = text.replace(mark, mark + "".join(
            f"      - {json.dumps(head)}: {name}\n" for head, name in lines))
    write(os.path.join(BUILD, "mkdocs.yml"), text)


def local_search(site):
    """The index and the worker of the search as a script, for file://."""
    folder = os.path.join(site, "assets", "javascripts", "workers")
    name = next(n for n in sorted(os.listdir(folder))
                if re.match(r"search\..*\.js$", n))
    with open(os.path.join(folder, name), encoding="utf-8") as f:
        worker = re.sub(r"//# sourceMappingURL=.*", "", f.read())
    with open(os.path.join(site, "search", "search_index.json"),
              encoding="utf-8") as f:
        index = f.read()
    write(os.path.join(site, "search", "local.js"),
          "var __search = {index: Promise.resolve(" + index + "),\n"
          "worker: URL.createObjectURL(new Blob([" + json.dumps(worker) +
          "], {type: 'text/javascript'}))};\n")


class Page(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.ids = set()
        self.targets = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.ids.update(attrs[a] for a in ("id", "name") if attrs.get(a))
        for name in ("href", "src"):
            if attrs.get(name) and (tag, name) != ("a", "src"):
                self.targets.append((tag, attrs[name]))


def check_site(site):
    """What a reader of the built pages would run into."""
    problems = []
    pages = {}
    for folder, _, names in os.walk(site):
        for name in names:
            if name.endswith(".html") and name != "404.html":
                path = os.path.join(folder, name)
                with open(path, encoding="utf-8") as f:
                    pages[path] = Page(f.read())
    for path, page in pages.items():
        short = os.path.relpath(path, site)
        for tag, target in page.targets:
            if re.match(r"[a-z]+:|//", target):
                if tag not in ("a",):
                    problems.append(f"{short}: loads {target}")
                continue
            to, _, anchor = urllib.parse.unquote(target).partition("#")
            there = os.path.normpath(
                os.path.join(os.path.dirname(path), to)) if to else path
            if not os.path.exists(there):
                problems.append(f"{short}: no file {target}")
            elif anchor and there in pages and anchor not in pages[there].ids:
                problems.append(f"{short}: no heading {target}")
    return problems


def fail(problems):
    for line in problems:
        print(line, file=sys.stderr)
    sys.exit(f"{len(problems)} problems")


def main():
    problems = check()
    if problems:
        fail(problems)
    if sys.argv[1:] == ["--check"]:
        print("ok")
        return
    collect()
    settings()
    subprocess.run(["mkdocs", "build", "-q", "--strict", "-f",
                    os.path.join(BUILD, "mkdocs.yml")], check=True)
    site = os.path.join(BUILD, "html")
    local_search(site)
    problems = check_site(site)
    if problems:
        fail(problems)
    print(site)


if __name__ == "__main__":
    main()
