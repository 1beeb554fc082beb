. "$root/test/bindings/node/binding.sh"
page=node-sqlite
# The system's Node where it has node:sqlite with loadExtension, or one from npm.
able() { "$1" -e "new (require('node:sqlite').DatabaseSync)(':memory:',
    {allowExtension: true}).loadExtension" >/dev/null 2>&1; }
node22() {
    local node=node
    able node || node=$js/node_modules/node/bin/node
    "$node" --disable-warning=ExperimentalWarning "$@"
}
needs() {
    able node || npm_need node@22
    because "no Node with node:sqlite (22.13 or newer)" able node22
}
run_page() { node22 "$blocks/page.js"; }
run_scenario() {
    node22 "$root/test/bindings/node/scenario.js" "$source/adapter.js" "$@"
}
