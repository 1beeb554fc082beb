# What `make gem` makes: built, installed into a folder of its own, and used as its
# README says.
page=../../bindings/ruby/README
. "$root/test/bindings/ruby/binding.sh"
export GEM_PATH=$blocks/gems:$(gem env gempath 2>/dev/null)
build() {
    local version gem
    version=$(sed -n 's/^.define NADB_VERSION "\(.*\)"$/\1/p' \
        "$root/core/nadb.h")
    gem=$(bash "$root/packaging/gem.sh" "$lib" "$version" "$PWD") &&
        gem install --local --no-document --install-dir gems "$gem"
}
run_scenario() {
    ruby "$root/test/bindings/ruby/scenario.rb" \
        "$root/test/bindings/ruby/adapter.rb" "$@"
}
extra() { ruby "$source/gem.rb"; }
