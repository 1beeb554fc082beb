language=lua extension=lua
needs() {
    need luajit lua-sql-sqlite3
    because "no LuaSQL in luajit" luajit -e 'require "luasql.sqlite3"'
}
run_page() { luajit "$blocks/page.lua"; }
run_scenario() { luajit "$source/scenario.lua" "$@"; }
