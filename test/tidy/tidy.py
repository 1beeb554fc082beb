#!/usr/bin/env python3
"""tidy.py - the rules of the house, checked by a program (make tidy).

Each rule is a function that returns its violations, one line each. A rule
without violations counts as passed. The rules about the shape of sources are
made for clang-formatted C: a function begins at column 0 and ends with "}" at
column 0.
"""
import functools
import glob
import os
import re
import shutil
import subprocess
import sys

LIBRARY = ["core/*.[ch]", "core/*/*.[ch]", "ext/*.[ch]",
           "backends/*.[ch]", "backends/*/*.[ch]"]
TESTS_C = ["test/*/*.[ch]", "test/bindings/*/*.[ch]", "test/plugins/*/*.[ch]",
           "examples/*/*.[ch]"]
LUA = ["backends/redis/lua/*.lua", "backends/redis/lua/lib/*.lua"]
OTHER = LUA + ["test/*/*.test", "test/*/*.tcl", "test/*/*.py", "test/*/*.sh",
         "test/bindings/*/*", "test/*.sh", "sql/*.sh", "Makefile"]

FILE_LINES = 700
FUNCTION_LINES = 70
COLUMNS = 80
FORMAT_VERSION = 14  # Debian 12's


class NotRun(Exception):
    """A rule that cannot be checked here: it neither holds nor fails."""



def files(patterns):
    return sorted(f for p in patterns for f in glob.glob(p))


def text_of(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


BLANKED = re.compile(
    r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)


def blank(match):
    return re.sub(r"[^\n]", " ", match.group(0))


def code_of(path):
    """The file without comments and literals, line numbers kept."""
    return BLANKED.sub(blank, text_of(path))


def find_calls(paths, names, why):
    """Calls by bare name; os->open() and my_open() are others."""
    call = re.compile(r"(?<![\w.>])(" + "|".join(names) + r")\s*\(")
    out = []
    for path in paths:
        for i, line in enumerate(code_of(path).split("\n"), 1):
            for m in call.finditer(line):
                out.append(f"{path}:{i}: {m.group(1)}(): {why}")
    return out


# --- who may include whom (ARCHITECTURE.md) ---

ROOMS = {
    # room: what its files may include, besides their own room and core/util
    "core/util": [],
    "core/kv": ["core/backend.h", "core/nadb.h"],
    "core/engine": ["core/backend.h", "core/options.h", "core/names.h",
                    "core/nadb.h", "core/conflict.h", "core/kv/row.h"],
    "core/map": ["core/backend.h", "core/conflict.h", "core/recent.h",
                 "core/kv/row.h"],
    "core/backup": ["core/backend.h", "core/nadb.h", "core/names.h",
                    "core/store_engine.h", "core/kv/codec.h", "core/kv/row.h",
                    "core/kv/session.h"],
    "core": ["core/kv/", "core/engine/", "core/map/map.h",
             "backends/registry.h"],
    "ext": ["core/nadb.h", "core/backup/backup.h", "core/util/sha256.h",
            "test/support/test_functions.h"],
    "backends": ["core/backend.h", "backends/"],
}
# A backend that stores a row's parts needs to know how rows are made.
BACKEND = ["core/backend.h", "core/recent.h", "core/kv/row.h", "core/kv/match.h",
           "core/kv/tags.h", "core/kv/codec.h"]
ROOMS["backends/backup"] = BACKEND + ["core/backup/", "core/kv/index.h",
                                      "core/kv/key_map.h"]


def may_include(path, header):
    room = os.path.dirname(path)
    if room.startswith("test/"):
        return True
    if os.path.dirname(header) == room:
        return True
    if os.path.dirname(header) == "core/util" and room != "ext":
        return header != "core/util/os_posix.h"
    allowed = ROOMS.get(room, BACKEND)
    return any(header == a or a.endswith("/") and header.startswith(a)
               for a in allowed)


# What ext/ sees: types, not the operations of backends.
FACADE = {"core/nadb.h", "core/types.h", "core/options.h", "core/store_list.h",
          "core/backup/backup.h", "core/backup/manifest.h"}

SYSTEM = [
    (r"sqlite3(ext)?\.h", r"ext/|test/"),
    (r"hiredis/.*", r"backends/redis/"),
    (r"zlib\.h", r"core/|test/"),
    (r"(fcntl|dirent|aio|sys/(mman|stat|statfs|vfs|file|uio|syscall|random)|"
     r"linux/.*)\.h", r"core/util/os_|test/"),
]


def check_includes():
    out = []
    for path in files(LIBRARY + TESTS_C):
        for i, line in enumerate(text_of(path).split("\n"), 1):
            m = re.match(r'\s*#\s*include\s+(["<])([^">]+)[">]', line)
            if not m:
                continue
            name = m.group(2)
            if m.group(1) == '"':
                header = os.path.normpath(
                    os.path.join(os.path.dirname(path), name))
                if not os.path.exists(header):
                    out.append(f"{path}:{i}: no file {header}")
                elif not may_include(path, header):
                    out.append(f"{path}:{i}: may not include {header}")
                elif path in FACADE and header == "core/backend.h":
                    out.append(f"{path}:{i}: ext/ includes it: no {header}")
            for header, where in SYSTEM:
                if re.fullmatch(header, name) and not re.match(where, path):
                    out.append(f"{path}:{i}: may not include <{name}>")
    return out


def check_posix_io():
    names = ["open", "openat", "close", "creat", "read", "write", "pread",
             "pwrite", "preadv", "pwritev", "fsync", "fdatasync", "mmap",
             "munmap", "msync", "unlink", "rename", "mkdir", "rmdir",
             "truncate", "ftruncate", "fallocate", "posix_fallocate", "stat",
             "fstat", "lstat", "opendir", "readdir", "fcntl", "flock",
             "fopen", "fread", "fwrite", "fclose", "access", "chown", "chmod",
             "realpath", "syscall", "gettimeofday", "clock_gettime", "time",
             "getrandom"]
    paths = [f for f in files(LIBRARY)
             if not f.startswith("core/util/os_")
             and f != "core/util/sync.c"]  # deadlines of its own waits
    return find_calls(paths, names, "I/O goes through nadb_os")


LINUX = re.compile(
    r"\b(syscall|SYS_\w+|FUTEX_\w+|F_OFD_\w+|fallocate|SEEK_(?:DATA|"
    r"HOLE)|O_PATH|O_TMPFILE|O_DIRECT|f?statfs|getrandom|gettid|\w+_np|"
    r"pthread_mutex_clocklock|RTLD_(?:NODELETE|NOLOAD|DEFAULT|NEXT)|dladdr|"
    r"sched_[gs]etaffinity|CPU_\w+|memmem|strtod_l|getauxval|MAP_ANONYMOUS|"
    r"fdatasync|mremap|madvise|memfd_create|renameat2|copy_file_range|"
    r"sync_file_range|accept4|pipe2|dup3|epoll_\w+|eventfd|timerfd_\w+|"
    r"signalfd|secure_getenv|strchrnul|asprintf|qsort_r|program_invocation_name|"
    r"sigtimedwait|FIOCLEX|FIONREAD)\b|"
    r"<(linux/.*|sys/(syscall|random|vfs|statfs|auxv|ioctl|prctl|epoll|"
    r"eventfd)|sched)\.h>")


def check_linux():
    """Names are looked for in code, paths also in strings."""
    out = []
    for path in files(LIBRARY):
        if path in ("core/util/os_linux.c", "core/util/os_plain.c"):
            continue
        for i, line in enumerate(code_of(path).split("\n"), 1):
            m = LINUX.search(line)
            if m and not line.startswith("nadb_rc nadb_os"):
                out.append(f"{path}:{i}: {m.group(0)}: what only Linux has is "
                           f"in core/util/os_linux.c")
        for i, line in enumerate(text_of(path).split("\n"), 1):
            if re.search(r'"/(proc|sys)/', line):
                out.append(f"{path}:{i}: a path that only Linux has")
    return out


# --- sizes ---

def check_file_length():
    out = []
    for path in files(LIBRARY + TESTS_C + OTHER):
        n = text_of(path).count("\n")
        if n > FILE_LINES:
            out.append(f"{path}: {n} lines, more than {FILE_LINES}")
    return out


# From the first line of the head, at column 0, to the "}" at column 0.
FUNCTION = re.compile(
    r"^[A-Za-z_](?:(?!\n\n)[^;{}])*\) \{\n.*?^\}$", re.S | re.M)


def check_function_length():
    out = []
    for path in files(LIBRARY + TESTS_C):
        code = code_of(path)
        for m in FUNCTION.finditer(code):
            n = m.group(0).count("\n") + 1
            if n > FUNCTION_LINES:
                line = code.count("\n", 0, m.start()) + 1
                out.append(f"{path}:{line}: {n} lines in a function, more "
                           f"than {FUNCTION_LINES}")
    return out


def check_columns():
    out = []
    for path in files(LIBRARY + TESTS_C + LUA):
        for i, line in enumerate(text_of(path).split("\n"), 1):
            if len(line) > COLUMNS:
                out.append(f"{path}:{i}: {len(line)} columns")
    return out


def check_format():
    """Each version formats differently: there is one that counts."""
    tool = next(filter(None, map(shutil.which, [
        f"clang-format-{FORMAT_VERSION}", "clang-format"])), None)
    if tool is None:
        raise NotRun("clang-format is not there")
    seen = subprocess.run([tool, "--version"], capture_output=True, text=True)
    if f" version {FORMAT_VERSION}." not in seen.stdout:
        raise NotRun(f"the sources are in the format of clang-format "
                     f"{FORMAT_VERSION}; here is {seen.stdout.strip()}")
    paths = files(LIBRARY + TESTS_C)
    run = subprocess.run([tool, "--dry-run", "-Werror"] + paths,
                         capture_output=True, text=True)
    return [line for line in run.stderr.split("\n") if ": error:" in line]


# --- calls ---

def check_banned():
    names = ["strcpy", "strcat", "sprintf", "vsprintf",
             "gets", "atoi", "atol", "atoll", "atof", "strtok", "abort",
             "exit", "_exit", "quick_exit", "printf", "vprintf", "fprintf",
             "puts", "putchar", "perror", "system", "popen", "alloca",
             "signal", "sigaction", "sleep", "usleep"]
    return find_calls(files(LIBRARY), names, "banned")


def check_allocation():
    raw = [f for f in files(LIBRARY) if f != "core/util/mem.c"]
    out = find_calls(raw, ["malloc", "calloc", "realloc", "reallocarray",
                           "free", "strdup", "strndup", "asprintf"],
                     "memory comes from nadb_malloc()")
    grows = [f for f in raw if f not in ("core/util/bytes.c",
                                         "core/util/bytes.h")]
    return out + find_calls(grows, ["nadb_realloc"],
                            "only nadb_buf grows memory")


def check_wrapping():
    """An unsigned index that ends below zero: `make asan` checks arithmetic,
    and what is meant to lose bits says NADB_WRAPS."""
    down = re.compile(r"\w-- (>|!=) 0\b")
    return [f"{path}:{i}: counts down below 0: for (i = n; i > 0; i--)"
            for path in files(LIBRARY)
            for i, line in enumerate(code_of(path).split("\n"), 1)
            if down.search(line)]


# --- Lua ---

def check_lua():
    """Each file of Lua is a chunk by itself."""
    luac = next(filter(None, map(shutil.which, ["luac5.1", "luac", "luac5.4"])),
                None)
    if luac is None:
        raise NotRun("luac is not there (package lua5.1)")
    out = []
    for path in files(LUA):
        run = subprocess.run([luac, "-p", path], capture_output=True, text=True)
        out += run.stderr.strip().split("\n") if run.returncode else []
    return out


# --- what is built ---

def make(*targets):
    run = subprocess.run(["make", "-s", "-k", "-j2", *targets],
                         capture_output=True, text=True)
    if run.returncode == 0:
        return []
    lines = run.stderr.strip().split("\n")
    return [x for x in lines if "error" in x or "undefined" in x] or lines


def check_gcc():
    """`make test` has just built both libraries: its log has the warnings."""
    log = os.environ.get("NADB_BUILD_LOG")
    if log is None:
        return make("strict-gcc")
    return [x for x in text_of(log).split("\n") if "warning:" in x]


def check_clang():
    """Where gcc has seen both libraries, the test library's code is enough."""
    return make("strict-clang" if os.environ.get("NADB_BUILD_LOG") is None
                else "strict-clang-test")


@functools.lru_cache(maxsize=None)
def symbols(path, *options):
    run = subprocess.run(["nm", *options, path], capture_output=True,
                         text=True)
    return [line.split() for line in run.stdout.split("\n") if line]


# SQLite looks for them after the name of the file: ext/module.c.
ENTRY_POINTS = {"sqlite3_nadb_init", "sqlite3_modnadb_init"}


def check_exports():
    out = make("build/nadb.so")
    if out:
        return out
    names = {s[-1] for s in symbols("build/nadb.so", "-D", "--defined-only")}
    if names == ENTRY_POINTS:
        return []
    return [f"build/nadb.so exports {', '.join(names) or 'nothing'}, not "
            f"exactly {', '.join(ENTRY_POINTS)}"]


def allowed_dead():
    """dead_allowed.txt: a name and the reason why it stays, a line."""
    allowed = {}
    for line in text_of("test/tidy/dead_allowed.txt").split("\n"):
        if line and not line.startswith("#"):
            name, _, reason = line.partition(" ")
            allowed[name] = reason.strip()
    return allowed


def check_dead():
    """Functions with external linkage that no other object refers to."""
    make("build/nadb.so")
    defined, used = {}, set()
    for source in files(["core/*.c", "core/*/*.c", "ext/*.c",
                         "backends/*.c", "backends/*/*.c"]):
        for s in symbols("build/obj/" + source[:-1] + "o"):
            if s[-2] == "T":
                defined[s[-1]] = source
            elif s[-2] == "U":
                used.add(s[-1])
    allowed = allowed_dead()
    out = [f"{where}: nobody else uses {name}: make it static, or remove it"
           for name, where in sorted(defined.items())
           if name not in used and name not in allowed
           and name not in ENTRY_POINTS]
    for name, reason in allowed.items():
        if name not in defined or name in used:
            out.append(f"test/tidy/dead_allowed.txt: {name} is not dead")
        elif not reason:
            out.append(f"test/tidy/dead_allowed.txt: {name} has no reason")
    return out


# --- circles ---

def circles(graph):
    """The strongly connected components of more than one node (Tarjan)."""
    order, low, stack, out = {}, {}, [], []

    def visit(a):
        order[a] = low[a] = len(order)
        stack.append(a)
        for b in graph.get(a, ()):
            if b not in order:
                visit(b)
                low[a] = min(low[a], low[b])
            elif b in stack:
                low[a] = min(low[a], order[b])
        if low[a] == order[a]:
            found = stack[stack.index(a):]
            del stack[stack.index(a):]
            if len(found) > 1:
                out.append(sorted(found))

    sys.setrecursionlimit(10000)
    for a in sorted(graph):
        if a not in order:
            visit(a)
    return out


def shown(circle, why):
    """Each arrow of a circle, with what it is."""
    return [f"{a} -> {b}: {', '.join(sorted(names)[:4])}"
            for a in circle for b, names in sorted(why[a].items())
            if b in circle]


# Within these rooms, too, each file names only what stands below it.
LAYERED = {"core/util", "core/engine", "core/map", "core/backup", "backends",
           "backends/memory", "backends/backup"}


def check_call_circles():
    """Who calls whom is what the objects refer to."""
    make("build/nadb.so")
    where, refers = {}, {}
    for source in files(["core/*.c", "core/*/*.c", "ext/*.c",
                         "backends/*.c", "backends/*/*.c"]):
        path = "build/obj/" + source[:-1] + "o"
        if not os.path.exists(path):
            continue  # without hiredis
        refers[source] = set()
        for s in symbols(path):
            if s[-2] == "U":
                refers[source].add(s[-1])
            elif s[-2] in "TDBR":
                where[s[-1]] = source
    graph = {a: {} for a in refers}
    for a, names in refers.items():
        for name in names & where.keys():
            graph[a].setdefault(where[name], set()).add(name)
    out = []
    for circle in circles(graph):
        rooms = {os.path.dirname(f) for f in circle}
        if len(rooms) > 1 or rooms <= LAYERED:
            out.append(f"{len(circle)} files call each other in a circle:")
            out += shown(circle, graph)
    return out


def check_include_circles():
    graph = {}
    for path in files(LIBRARY):
        graph[path] = {}
        for m in re.finditer(r'^\s*#\s*include\s+"([^"]+)"', text_of(path), re.M):
            header = os.path.normpath(
                os.path.join(os.path.dirname(path), m.group(1)))
            graph[path].setdefault(header, set()).add(m.group(1))
    return [line for c in circles(graph) for line in shown(c, graph)]


# A member of a struct: its parameters may stand on several lines.
OPERATION = re.compile(r"(?<=[;{}])\s*[^;{}()]*\(\*(\w+)\)\([^;{}]*\)[^;{}]*;")


def check_operations():
    """An operation of a struct is called, or handed on, somewhere."""
    text = "".join(code_of(f) for f in files(LIBRARY))
    used = set(re.findall(r"(?:->|\.)(\w+)\b(?!\s*(?:=|!=))", text))
    return [f"{path}: nobody calls operation {name}"
            for path in files(["core/*.h", "core/*/*.h"])
            for name in OPERATION.findall(code_of(path)) if name not in used]


RULES = [
    ("includes as ARCHITECTURE.md has it", check_includes),
    ("system calls only in core/util/os_*", check_posix_io),
    ("what only Linux has in core/util/os_linux.c", check_linux),
    (f"files up to {FILE_LINES} lines", check_file_length),
    (f"functions up to {FUNCTION_LINES} lines", check_function_length),
    (f"{COLUMNS} columns", check_columns),
    ("clang-format", check_format),
    ("no banned call", check_banned),
    ("memory from one place", check_allocation),
    ("no index below zero", check_wrapping),
    ("Lua as luac wants it", check_lua),
    ("no warning from gcc", check_gcc),
    ("no warning from clang", check_clang),
    ("no exported symbol but entry points", check_exports),
    ("no dead function", check_dead),
    ("no circle of calls between rooms", check_call_circles),
    ("no circle of includes", check_include_circles),
    ("no unused operation", check_operations),
]


def main():
    os.chdir(os.path.join(os.path.dirname(__file__), "../.."))
    for variable in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS"):
        os.environ.pop(variable, None)
    passed = failed = 0
    for name, rule in RULES:
        try:
            violations = rule()
        except NotRun as why:
            print(f"not run: {name}: {why}")
            continue
        if violations:
            failed += 1
            print(f"not so: {name}")
            for violation in violations[:40]:
                print(f"    {violation}")
            if len(violations) > 40:
                print(f"    and {len(violations) - 40} more")
        else:
            passed += 1
    print(f"{passed} passed, {failed} failed")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
