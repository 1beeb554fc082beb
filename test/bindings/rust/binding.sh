language=rust extension=rs
# Debian's crates and nothing from the network.
needs() {
    need librust-rusqlite-dev libsqlite3-dev gcc libc6-dev pkg-config
    command -v cargo >/dev/null || need cargo
    because "no cargo" cargo --version || return
    because "no rusqlite in Debian's registry" \
        ls -d /usr/share/cargo/registry/rusqlite-*
}
build() {
    mkdir -p src/bin .cargo
    cp page.rs src/bin/page.rs
    cp block1.rs src/hook.rs
    cp "$source/scenario.rs" src/bin/scenario.rs
    cat >Cargo.toml <<'END'
[package]
name = "nadb-test"
version = "0.0.0"
edition = "2021"
[dependencies]
rusqlite = { version = "*", features = ["load_extension"] }
END
    cat >.cargo/config.toml <<'END'
[source.crates-io]
replace-with = "debian"
[source.debian]
directory = "/usr/share/cargo/registry"
END
    # rustup's programs find their place by the home folder.
    CARGO_TARGET_DIR=$root/build/rust CARGO_HOME=$PWD/home \
        RUSTUP_HOME=${RUSTUP_HOME:-$(getent passwd "$(id -u)" | cut -d: -f6)/.rustup} \
        cargo build --offline
}
run_page() { "$root/build/rust/debug/page"; }
run_scenario() { "$root/build/rust/debug/scenario" "$@"; }
