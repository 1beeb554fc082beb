language=js extension=js
js=$root/build/js
export NODE_PATH=$js/node_modules
# npm_need PACKAGE@VERSION..: into build/js. What has to be compiled (where there
# is no binary for this Node) is allowed to.
npm_need() {
    local package missing=()
    command -v npm >/dev/null || need nodejs npm >/dev/null
    for package in "$@"; do
        [ -d "$js/node_modules/${package%@*}" ] || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    command -v g++ >/dev/null || need g++ make python3 >/dev/null
    mkdir -p "$js"
    (cd "$js" && { [ -e package.json ] || npm init -y; } &&
        npm install "${missing[@]}" &&
        { npm install-scripts approve "${missing[@]%@*}"; npm rebuild "${missing[@]%@*}"; }) \
        >"$js/npm.log" 2>&1 || tail -n 20 "$js/npm.log" >&2
}
needs() {
    npm_need better-sqlite3@12
    because "no better-sqlite3 that works with $(node --version)" \
        node -e "new (require('better-sqlite3'))(':memory:')"
}
run_page() { node "$blocks/page.js"; }
run_scenario() {
    node "$root/test/bindings/node/scenario.js" "$source/adapter.js" "$@"
}
if [ "${source##*/}" = node ]; then
    extra() {
        node "$source/numbers.js" "${NADB_LIBRARY%.so}" "$PWD" && readme
    }
    # README.md's own block
    readme() {
        python3 "$root/test/bindings/blocks.py" "$root/README.md" js . js || return
        if node page.js 2>&1 | diff page.out -; then
            echo "ok readme"
        else
            echo "not ok readme"
        fi
    }
fi
