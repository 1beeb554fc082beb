# plugin.tcl - backends that are loaded: built against the installed headers. Sourced
# behind testprefix.
source [file join $::H(root) test/support/suite.tcl]

set home $::H(dir)
exec make -s -C $::H(root) install-headers DESTDIR=$home prefix=/p

# Builds the backend of examples/backend or test/plugins with this name, or one of
# the source given, with further sources and options; returns the file.
proc build {name {source ""} args} {
    if {$source eq ""} { set source [plugin_source $name] }
    set f [open $::home/$name.c w]
    puts $f $source
    close $f
    exec cc -shared -fPIC -O1 -Wall -Wextra -Werror -Wl,-z,defs -I$::home/p/include \
        -o $::home/$name.so $::home/$name.c {*}$args
    return $::home/$name.so
}

proc plugin_source {name} {
    return [file_text [glob \
        $::H(root)/{examples/backend,test/plugins}/$name.c]]
}

proc load_backend {file} { catchsql {SELECT nadb_backend_load($file)} }

# Runs suites, each in a process of its own, on the backend in `file`.
proc plugin_suites {file suites} {
    set ::env(NADB_LIB) $::H(lib)
    set ::env(NADB_BACKENDS) [file rootname [file tail $file]]
    set ::env(NADB_PLUGIN) $file
    set ::env(NADB_STEPS) [pick_size 300 20000] ;# of model.test
    foreach suite $suites { do_suite_test suite-$suite $suite }
}
