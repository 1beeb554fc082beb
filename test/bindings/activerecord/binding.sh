. "$root/test/bindings/ruby/binding.sh"
needs() {
    need $(packages_of activerecord)
    because "no gem activerecord" ruby -e 'require "active_record"'
}
extra() {
    ruby -r "$blocks/block1.rb" "$source/orm.rb" "${NADB_LIBRARY%.so}" "$PWD"
}
