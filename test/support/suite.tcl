# suite.tcl - suites that run as tests of another suite.

# Runs a suite in a process of its own: it passes if at least one test does and
# none fails.
proc do_suite_test {name suite} {
    do_test $name {
        catch {
            exec {*}[loading] \
                [file join $::H(root) test/suites $suite.test] 2>@1
        } output
        set last [lindex [split $output \n] end]
        if {![regexp {^(\d+) passed, 0 failed$} $last - n] || $n < 1} {
            error $output
        }
    } {}
}
