language=sh extension=sh
needs() {
    need sqlite3
    because "no sqlite3" command -v sqlite3
}
# The shell takes the home folder from the system, and not from $HOME.
sqlite3() { command sqlite3 -init ~/.sqliterc "$@"; }
export -f sqlite3
run_page() { bash "$blocks/page.sh"; }
run_scenario() { bash "$source/scenario.sh" "$@"; }
extra() { bash "$source/csv.sh"; }
