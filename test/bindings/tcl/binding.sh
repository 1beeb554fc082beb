language=tcl extension=tcl
needs() {
    need $(packages_of tcl)
    because "no package sqlite3 in tclsh" tclsh <<<"package require sqlite3"
}
run_page() { preloaded tclsh "$blocks/page.tcl"; }
run_scenario() { preloaded tclsh "$source/scenario.tcl" "$@"; }
