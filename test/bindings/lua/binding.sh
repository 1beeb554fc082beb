language=lua extension=lua
needs() {
    need $(packages_of lua)
    because "no LuaSQL in luajit" luajit -e 'require "luasql.sqlite3"'
}
run_page() { luajit "$blocks/page.lua"; }
run_scenario() { luajit "$source/scenario.lua" "$@"; }
