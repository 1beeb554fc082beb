. "$root/test/bindings/ruby/binding.sh"
needs() {
    need $(packages_of sequel)
    because "no gem sequel" ruby -e 'require "sequel"; require "sqlite3"'
}
