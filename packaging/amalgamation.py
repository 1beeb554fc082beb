#!/usr/bin/env python3
"""amalgamation.py SCRIPTS VERSION FOLDER [FILE..] - all of nadb as nadb.c and
nadb.h in FOLDER.

SCRIPTS is the C file that embed.awk has made of the Lua scripts; each FILE is
one more source, such as what the test library has. The result is one translation
unit in which every name has one meaning and internal linkage:

- Each header is written out once, before what first includes it, and without its
  guard. Headers of the system come first.
- A name that a source file defines for itself (function, variable, type, tag,
  constant, macro) gets the file's name in front: `take` of core/kv/cursor.c is
  `kv_cursor__take`. So two files may both have a `take`.
- A name that the headers of two rooms (folders) define gets the room's name in
  front, in all files of the room.
- What several files share becomes static: NADB_PRIVATE. What SQLite or a
  program calls is NADB_API.
- backends/redis is there only if NADB_REDIS is defined and not 0.

The sources are clang-formatted C without macros that change its grammar, and
the compiler finds whatever this program misunderstands. Prints the names of
both files, nadb.c last.
"""
import glob
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(HERE)

TOKEN = re.compile(r"""
    (?P<comment>/\*.*?\*/|//[^\n]*)
  | (?P<directive>^[ ]*\#(?:/\*.*?\*/|\\\n|[^\n])*)
  | (?P<text>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')
  | (?P<name>[A-Za-z_]\w*)
  | (?P<number>\.?[0-9](?:[eEpP][+-]|[\w.])*)
  | (?P<space>\s+)
  | (?P<mark>->|\.\.\.|.)
""", re.X | re.S | re.M)
IN_DIRECTIVE = re.compile(r'/\*.*?\*/|"(?:\\.|[^"\\\n])*"|<[^>\n]*>|'
                          r"'(?:\\.|[^'\\\n])*'|[A-Za-z_]\w*", re.S)
NAME = re.compile(r"[A-Za-z_]\w*")
INIT = re.compile(r"SQLITE_EXTENSION_INIT[13]")
CONDITION = re.compile(r"\s*#\s*(if|endif)")
INCLUDE = re.compile(r'\s*#\s*include\s+(["<])([^">]+)[">]')
DEFINE = re.compile(r"\s*#\s*define\s+(\w+)")
GUARD = re.compile(r"\A((?:/\*.*?\*/|\s)*)#ifndef (\w+)\n#define \2\n(.*)"
                   r"#endif[^\n]*\n\Z", re.S)
NOT_DECLARATORS = {"__attribute__", "_Alignas", "_Atomic", "NADB_PRINTF", "__typeof__",
                   "sizeof", "defined"}


class Amalgamation(Exception):
    """A source that this program does not understand."""


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def tokens_of(text):
    return [(m.lastgroup, m.group(0)) for m in TOKEN.finditer(text)]


def is_code(token):
    return token[0] in ("name", "number", "text", "mark")


# --- what a file declares ---

def declarations(tokens):
    """Lists of indexes of tokens: each one declaration of file scope."""
    current, depth, out, body = [], 0, [], False
    for i, token in enumerate(tokens):
        if not is_code(token) or INIT.fullmatch(token[1]):
            continue
        current.append(i)
        kind = token[1] if token[0] == "mark" else ""
        if kind in ("(", "[", "{"):
            if kind == "{" and depth == 0:
                before = tokens[current[-2]] if len(current) > 1 else None
                body = before is not None and before[1] == ")"
            depth += 1
        elif kind in (")", "]", "}"):
            depth -= 1
        end = depth == 0 and (kind == ";" or kind == "}" and body)
        if end:
            out.append(current)
            current, body = [], False
    if current:
        raise Amalgamation("a declaration without an end")
    return out


def is_static(words):
    depth = 0
    for word in words:
        depth += (word == "(") - (word == ")")
        if depth == 0 and word == "static":
            return True
        if word in ("{", "=", ";"):
            return False
    return False


class Declared:
    """The names of one declaration, as `names`, and what kind it is."""

    def __init__(self, words):
        self.names = set()
        self.linked = None      # the name of a function or variable
        self.unsized = False    # an array whose size is said elsewhere
        self.storage = "typedef" if words[0] == "typedef" else \
            "static" if is_static(words) else \
            "extern" if words[0] == "extern" else ""
        if words[0] == "_Static_assert":
            return
        self.inner(words)
        self.outer(words)

    def inner(self, words):
        """Tags, and the constants of enums."""
        for i, word in enumerate(words):
            if word not in ("struct", "union", "enum"):
                continue
            at = i + 1
            if NAME.fullmatch(words[at]):
                follows = words[at + 1] if at + 1 < len(words) else ";"
                if follows in ("{", ";") or words[0] == "typedef" and i == 1:
                    self.names.add(words[at])
                at += 1
            if word == "enum" and at < len(words) and words[at] == "{":
                self.constants(words, at)

    def constants(self, words, at):
        depth, first = 0, False
        for word in words[at:]:
            if word in ("(", "{"):
                depth += 1
                first = word == "{"
            elif word in (")", "}"):
                depth -= 1
                if depth == 0:
                    return
            elif word == "," and depth == 1:
                first = True
            elif first:
                self.names.add(word)
                first = False

    def outer(self, words):
        depth, previous, initial, names = 0, "", False, []
        for i, word in enumerate(words):
            if depth == 0 and word == "(" and not names and not initial and \
                    NAME.fullmatch(previous) and \
                    previous not in NOT_DECLARATORS:
                names.append(previous)
                if self.storage != "typedef":
                    break
            elif depth == 0 and word == "(" and words[i + 1] == "*":
                names.append(words[i + 2])
            elif depth == 0 and not initial and word in ("=", ";", ",", "[") \
                    and NAME.fullmatch(previous) and \
                    not (names and names[-1] == previous) and \
                    not self.is_type(words, i):
                names.append(previous)
            if word == "[" and words[i + 1] == "]" and \
                    self.storage == "extern":
                self.unsized = True
            if word in ("(", "[", "{"):
                depth += 1
            elif word in (")", "]", "}"):
                depth -= 1
            elif depth == 0 and word == "=":
                initial = True
            elif depth == 0 and word == ",":
                initial = False
            previous = word
        self.names.update(names)
        if names and self.storage != "typedef":
            self.linked = names

    @staticmethod
    def is_type(words, i):
        """`struct x;` declares no variable."""
        return i == 2 and words[0] in ("struct", "union", "enum")


class Source:
    def __init__(self, path):
        self.path = path
        text = read(os.path.join(TOP, path))
        if path.endswith(".h"):
            m = GUARD.match(text)
            if m is None:
                raise Amalgamation(f"{path}: a header without a guard")
            text = m.group(1) + m.group(3)
        self.tokens = tokens_of(text)
        self.folder = os.path.dirname(path)
        self.room = self.folder.split("/")[-1]
        self.headers = []   # paths of the project's that it includes
        self.system = []    # lines, of those that it always includes
        self.macros = set()
        depth = 0
        for kind, token in self.tokens:
            if kind == "directive":
                depth = self.directive(token, depth)
        self.declared = []
        for indexes in declarations(self.tokens):
            words = [self.tokens[i][1] for i in indexes]
            self.declared.append((indexes, Declared(words)))
        self.names = set(self.macros)
        for _, d in self.declared:
            self.names |= d.names
        self.members = members_of(self.tokens)
        self.tags = set(re.findall(r"\b(?:struct|union|enum) (\w+)", text))

    def directive(self, token, depth):
        m = CONDITION.match(token)
        if m is not None:
            return depth + (1 if m.group(1) == "if" else -1)
        m = INCLUDE.match(token)
        if m is not None and m.group(1) == '"':
            header = os.path.normpath(os.path.join(self.folder, m.group(2)))
            self.headers.append(header)
        elif m is not None and depth == 0:
            self.system.append(f"#include <{m.group(2)}>\n")
        m = DEFINE.match(token)
        if m is not None:
            self.macros.add(m.group(1))
        return depth


def members_of(tokens):
    """Indexes of the tokens that name a member of a struct or union."""
    code = [i for i in range(len(tokens)) if is_code(tokens[i])]
    words = [tokens[i][1] for i in code] + [";"]
    out, bodies, begins = set(), [], True
    for k, i in enumerate(code):
        word = words[k]
        inside = bool(bodies) and bodies[-1]
        if tokens[i][0] == "name":
            before = words[k - 1] if k > 0 else ";"
            if before in (".", "->") or \
                    before == "," and "offsetof" in words[max(0, k - 5):k]:
                out.add(i)
            elif inside and not begins and words[k + 1] in (
                    ";", ",", "[", ":", ")"):
                out.add(i)
        if word == "{":
            bodies.append(words[k - 1] in ("struct", "union") or
                          words[k - 2] in ("struct", "union"))
        elif word == "}":
            bodies.pop()
        begins = word in ("{", ";")
    return out


# --- the whole ---

REDIS = "backends/redis"
ROOMS = ["core/util", "core/kv", "core/engine", "core/map", "core/backup",
         "core", "backends/fs", "backends/memory", "backends/backup", REDIS,
         "backends", "ext"]


class Whole:
    def __init__(self, paths, scripts):
        self.sources = {}
        self.scripts = scripts
        for path in paths:
            self.load(path)
        self.headers = [p for p in self.sources if p.endswith(".h")]
        self.closures = {p: self.closure(p) for p in self.sources}
        self.of_rooms = self.names_of_rooms()
        self.order = self.sorted_by_arrays(paths)
        self.done = set()

    def load(self, path):
        if path in self.sources:
            return
        source = Source(path)
        if path == self.scripts:
            source.folder = REDIS
        self.sources[path] = source
        source.headers = [h for h in source.headers
                          if os.path.exists(os.path.join(TOP, h))]
        for header in source.headers:
            self.load(header)

    def closure(self, path):
        out, todo = set(), [path]
        while todo:
            for header in self.sources[todo.pop()].headers:
                if header not in out:
                    out.add(header)
                    todo.append(header)
        return out

    def names_of_rooms(self):
        """{folder: {name: another name}} of headers that do not agree. Names
        that begin with nadb_ have one meaning anyway."""
        where = {}
        for path in self.headers:
            for name in self.sources[path].names:
                where.setdefault(name, set()).add(self.sources[path].folder)
        out = {}
        for name, folders in where.items():
            if len(folders) < 2 or name.lower().startswith("nadb_"):
                continue
            for folder in folders:
                room = folder.split("/")[-1]
                out.setdefault(folder, {})[name] = f"{room}__{name}"
        return out

    def sorted_by_arrays(self, paths):
        """An array whose header does not say how long it is has to be defined
        before it is used, once it is static."""
        unsized = {name for s in self.sources.values() for _, d in s.declared
                   if d.unsized for name in d.linked}
        first = [p for p in paths if any(
            d.linked and d.storage == "" and unsized & set(d.linked)
            for _, d in self.sources[p].declared)]
        return first + [p for p in paths if p not in first]

    def private_names(self, path):
        """{name: new name} of what only this source file means by it."""
        source = self.sources[path]
        if path.endswith(".h"):
            return {}
        known = set()
        for header in self.closures[path]:
            known |= self.sources[header].names | self.sources[header].tags
        stem = os.path.splitext(os.path.basename(path))[0]
        prefix = f"{source.room}_{stem}__"
        out = {name: prefix + name for name in source.macros - known}
        for _, d in source.declared:
            linked = set(d.linked or []) if d.storage in ("", "extern") else ()
            for name in d.names - known - set(linked):
                out[name] = prefix + name
        return out

    # --- writing ---

    def text(self):
        redis = [p for p in self.order if self.sources[p].folder == REDIS]
        plain = [p for p in self.order if p not in redis]
        out = [self.system(plain)]
        # What Redis needs of other rooms is there without it, too.
        out += [self.file(h) for p in redis for h in sorted(self.closures[p])
                if not h.startswith(REDIS) and h not in self.done]
        redis_at = next(i for i, p in enumerate(plain)
                        if p.startswith("backends/registry"))
        out += [self.file(p) for p in plain[:redis_at]]
        out += ["\n#if NADB_REDIS\n", self.system(redis)]
        out += [self.file(p) for p in redis]
        out += ["\n#endif /* NADB_REDIS */\n"]
        out += [self.file(p) for p in plain[redis_at:]]
        return "".join(out)

    def system(self, paths):
        lines = set()
        for path in paths:
            lines.update(self.sources[path].system)
            for header in self.closures[path]:
                lines.update(self.sources[header].system)
        return "".join(sorted(lines))

    def file(self, path):
        if path in self.done:
            return ""
        self.done.add(path)
        source = self.sources[path]
        # One that is included under a condition is there without it, too.
        before = "".join(self.file(h) for h in source.headers
                         if path.endswith(".c") and
                         (not h.startswith(REDIS) or source.folder == REDIS))
        renames = dict(self.of_rooms.get(source.folder, {}))
        for header in self.closures[path]:
            renames.update(self.of_rooms.get(self.sources[header].folder, {}))
        own = self.private_names(path)
        renames.update(own)
        starts = self.linkage(source)
        text = "".join(self.token(source, i, renames, starts)
                       for i in range(len(source.tokens)))
        undefined = "".join(f"#undef {own[m]}\n" for m in sorted(source.macros)
                            if m in own)
        return f"{before}\n/* --- {path} --- */\n\n{text}{undefined}"

    @staticmethod
    def linkage(source):
        """{index of a token: what stands there instead}"""
        out = {}
        for indexes, d in source.declared:
            if d.storage == "extern" and d.unsized:
                out.update((i, "") for i in indexes)
            elif d.storage == "extern":
                out[indexes[0]] = "NADB_PRIVATE"
            elif d.storage == "" and d.linked and "NADB_API" not in [
                    source.tokens[i][1] for i in indexes] and \
                    not d.linked[0].startswith("sqlite3_"):
                first = source.tokens[indexes[0]][1]
                out[indexes[0]] = f"NADB_PRIVATE {first}"
        return out

    def token(self, source, i, renames, starts):
        kind, text = source.tokens[i]
        if kind == "directive":
            return self.directive(source, text, renames)
        if kind == "name" and INIT.fullmatch(text):
            return ""
        renamed = kind == "name" and text in renames and \
            (i not in source.members or text in source.macros)
        new = renames[text] if renamed else text
        if i not in starts:
            return new
        return starts[i][:-len(text)] + new if renamed else starts[i]

    def directive(self, source, text, renames):
        m = INCLUDE.match(text)
        if m is None:
            return IN_DIRECTIVE.sub(lambda w: in_macro(w, renames), text)
        if m.group(1) == "<":
            return "" if f"#include <{m.group(2)}>\n" in source.system else text
        header = os.path.normpath(os.path.join(source.folder, m.group(2)))
        return self.file(header) if header in self.sources else ""


def in_macro(word, renames):
    before = word.string[:word.start()].rstrip(" ")
    if before.endswith(("->", ".")) and not before.endswith("..."):
        return word.group(0)
    return renames.get(word.group(0), word.group(0))


HEADER = """\
/* nadb.h - nadb {version} for programs in C and C++.
 *
 * nadb is a loadable extension of SQLite: a key-value store as a virtual table.
 * nadb.c and this file are all of it. As an extension:
 *
 *     gcc -O2 -shared -fPIC nadb.c -o nadb.so -lz -lm
 *
 * or as a part of a program that has SQLite in it:
 *
 *     gcc -O2 -DNADB_STATIC program.c nadb.c sqlite3.c -lz -lm
 *
 * which calls sqlite3_nadb_init(db, NULL, NULL) for a connection, or once, for
 * all to come, sqlite3_auto_extension((void (*)(void))sqlite3_nadb_init).
 *
 * NADB_STATIC (or SQLITE_CORE)  SQLite is linked with, and not what loads it
 * NADB_API       what stands before the entry point, such as `static` or
 *                an attribute
 * NADB_REDIS=1   with backend redis; link with -lhiredis
 * NADB_REDIS_TLS=1   with TLS, too; needs OpenSSL's headers */
#ifndef NADB_PUBLIC_H
#define NADB_PUBLIC_H

#define NADB_VERSION "{version}"
#define NADB_VERSION_NUMBER {number} /* major * 1000000 + minor * 1000 + patch */

#if defined(NADB_STATIC) && !defined(SQLITE_CORE)
#define SQLITE_CORE 1
#endif
#ifndef NADB_API
#if defined(__GNUC__) && !defined(NADB_STATIC)
#define NADB_API __attribute__((visibility("default")))
#else
#define NADB_API
#endif
#endif

#ifdef __cplusplus
extern "C" {{
#endif

struct sqlite3;
struct sqlite3_api_routines;

/* Makes nadb known to the connection: SQLITE_OK, or an error code and, if `msg`
 * is not NULL, in *msg the reason, to be freed with sqlite3_free(). `api` is
 * NULL where SQLite is linked with. */
NADB_API int sqlite3_nadb_init(struct sqlite3 *db, char **msg,
                               const struct sqlite3_api_routines *api);

#ifdef __cplusplus
}}
#endif

#endif
"""

SOURCE = """\
/* nadb.c - all of nadb {version}, made by packaging/amalgamation.py of its
 * sources. How to compile it is in nadb.h, which is a part of it. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#ifndef _FILE_OFFSET_BITS
#define _FILE_OFFSET_BITS 64
#endif
#ifndef NADB_REDIS
#define NADB_REDIS 0
#endif
#ifndef NADB_REDIS_TLS
#define NADB_REDIS_TLS 0
#endif
#ifndef NADB_PRIVATE
#define NADB_PRIVATE static
#endif

{header}
#include "sqlite3ext.h"
#ifndef SQLITE_CORE
static const sqlite3_api_routines *sqlite3_api;
#endif

/* Which functions of a header are used depends on what is left out. */
#if defined(__GNUC__)
#pragma GCC diagnostic ignored "-Wunused-function"
#endif

{text}"""


def write(path, text):
    with open(path + ".new", "w", encoding="utf-8") as f:
        f.write(text)
    os.replace(path + ".new", path)
    print(path)


def main():
    scripts, version, folder = sys.argv[1:4]
    more = sys.argv[4:]
    paths = [os.path.relpath(p, TOP) for room in ROOMS
             for p in sorted(glob.glob(os.path.join(TOP, room, "*.c")))]
    scripts = os.path.relpath(scripts, TOP)
    whole = Whole([scripts] + paths + more, scripts)
    major, minor, patch = (int(x) for x in version.split("."))
    header = HEADER.format(
        version=version, number=major * 1000000 + minor * 1000 + patch)
    os.makedirs(folder, exist_ok=True)
    write(os.path.join(folder, "nadb.h"), header)
    write(os.path.join(folder, "nadb.c"), SOURCE.format(
        version=version, header=header, text=whole.text()))


if __name__ == "__main__":
    main()
