language=ruby extension=rb
needs() {
    need $(packages_of ruby)
    because "no gem sqlite3" ruby -e 'require "sqlite3"'
}
run_page() { ruby "$blocks/page.rb"; }
run_scenario() {
    ruby "$root/test/bindings/ruby/scenario.rb" "$source/adapter.rb" "$@"
}
