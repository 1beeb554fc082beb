#!/bin/bash
# dbbrowser.sh [LIBRARY] - DB Browser for SQLite edits one cell, renames one
# key and deletes one record of an nadb table, on a display of its own, and the
# other rows stay as they are.
#
# Prints "ok NAME" or "not ok NAME: ..", and the count that run.sh reads. The
# program is driven by keys; each step is repeated until the database shows it.
# With NADB_SHOT=FILE it then takes a picture of the table.
# `make gui` runs this. What the program sends is in rowid.test.
set -u
cd "$(dirname "$0")/../.." || exit 1
lib=$(realpath "${1:-${NADB_LIB:-build/nadb.so}}")
bash test/support/need.sh sqlitebrowser xvfb xdotool sqlite3
dir=$(mktemp -d)
db=$dir/x.db
passed=0
failed=0

sql() { sqlite3 -cmd ".load $lib" "$db" "$@" 2>&1; }

rows() { sql 'SELECT key, value, tags FROM kv' | tr '\n' ' '; }

tell() { # NAME WANTED GOT
    if [ "$2" = "$3" ]; then
        passed=$((passed + 1))
        echo "ok $1"
    else
        failed=$((failed + 1))
        echo "not ok $1: expected '$2', got '$3'"
    fi
}

stop() {
    [ -z "${browser:-}" ] || kill "$browser" 2>/dev/null
    [ -z "${xvfb:-}" ] || kill "$xvfb" 2>/dev/null
    wait 2>/dev/null
    rm -rf "$dir"
}
trap stop EXIT

# until_rows NAME WANTED STEPS..: repeats the function until the rows are so.
until_rows() {
    local name=$1 want=$2 i
    shift 2
    for i in $(seq 10); do
        "$@"
        for _ in $(seq 10); do
            [ "$(rows)" = "$want" ] && break 2
            sleep 0.2
        done
    done
    tell "$name" "$want" "$(rows)"
}

keys() { xdotool key --delay 100 "$@"; }

# The cell of the first row and column. A click anywhere among the cells leads
# there, so the widths and heights of the program's parts do not matter.
first_cell() {
    xdotool windowfocus "$window" 2>/dev/null
    keys Escape Escape
    xdotool mousemove --window "$window" 60 210 click 1
    sleep 0.3
    keys ctrl+Home
}

save() { keys ctrl+s; }

edit_value() { # of b
    first_cell
    keys Down Right F2 ctrl+a
    xdotool type EDITED
    keys Return
    save
}

edit_key() { # of c
    first_cell
    keys Down Down F2 ctrl+a
    xdotool type z
    keys Return
    save
}

# A click on a row's number selects the row. From 3.13 on there is a line with the
# table's name above the rows; 3.13 has no key for it, where 3.12 has Shift+Space.
delete_record() { # a
    local y=200
    [[ $version =~ [^0-9]3\.1[0-2]\. ]] || y=224
    first_cell
    xdotool mousemove --window "$window" 12 $y click 1
    keys Delete
    save
}

sql "CREATE VIRTUAL TABLE kv USING nadb;
     INSERT INTO kv(key, value, tags) VALUES('a', 'one', '[\"x\"]'),
         ('b', 'two', NULL), ('c', 3, '[\"y\"]'), ('d', 4, NULL)"

export HOME=$dir/home XDG_RUNTIME_DIR=$dir/run
mkdir -p "$HOME/.config/sqlitebrowser" "$XDG_RUNTIME_DIR"
chmod 700 "$XDG_RUNTIME_DIR"
# As docs/bindings/db-browser.md shows it.
{
    printf '[checkversion]\nenabled=false\n'
    sed -n '/^```ini$/,/^```$/p' docs/bindings/db-browser.md |
        sed "/^\`/d; s|/usr/local/lib/nadb.so|$lib|"
} >"$HOME/.config/sqlitebrowser/sqlitebrowser.conf"
Xvfb -displayfd 3 -screen 0 1280x900x24 3>"$dir/display" 2>/dev/null &
xvfb=$!
for _ in $(seq 100); do
    [ -s "$dir/display" ] && break
    sleep 0.1
done
export DISPLAY=:$(cat "$dir/display")
version=$(sqlitebrowser --version 2>&1)
sqlitebrowser -t kv "$db" >"$dir/log" 2>&1 &
browser=$!
for _ in $(seq 200); do
    window=$(xdotool search --onlyvisible --name 'DB Browser.*x[.]db' |
        head -n 1)
    [ -n "$window" ] && break
    sleep 0.1
done
if [ -z "$window" ]; then
    tell starts "a window" "$(cat "$dir/log")"
    echo "$passed passed, $failed failed"
    exit 1
fi
xdotool windowmove "$window" 0 0 windowsize "$window" 1280 900

until_rows edit-one-cell 'a|one|["x"] b|EDITED| c|3|["y"] d|4| ' edit_value
until_rows edit-one-key 'a|one|["x"] b|EDITED| d|4| z|3|["y"] ' edit_key
until_rows delete-one-record 'b|EDITED| d|4| z|3|["y"] ' delete_record
tell check ok "$(sql "SELECT nadb_check('kv')")"
if [ -n "${NADB_SHOT:-}" ]; then # docs/db-browser.png: make pictures
    bash test/support/need.sh imagemagick
    sql "DELETE FROM kv; INSERT INTO kv(key, value, tags, ttl) VALUES
        ('greeting', 'hello, world', NULL, NULL), ('visits', 42, NULL, NULL),
        ('session:1', '{\"user\": 7}', '[\"web\", \"eu\"]', 3600),
        ('session:2', '{\"user\": 9}', '[\"app\", \"eu\"]', 3600)"
    first_cell
    keys ctrl+r
    sleep 1
    import -window root -crop 745x320+0+0 +repage +dither -colors 64 "$NADB_SHOT"
fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
