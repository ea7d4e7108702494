# Sourced by ./demo, ./test and .ci/run: makes sure of cargo, a C compiler, cmake and make, and of nothing else.

MINIMUM_RUST=88 # 1.88; the workspace's rust-version

say() { printf 'samlgate: %s\n' "$*" >&2; }

find_missing() {
    missing=()
    command -v cc >/dev/null || command -v gcc >/dev/null || command -v clang >/dev/null || missing+=(gcc)
    command -v cmake >/dev/null || missing+=(cmake)
    command -v make >/dev/null || missing+=(make)
}

install_missing() {
    say "installing ${missing[*]} (needed to build Pingora's zlib-ng and aws-lc)"
    packages=("${missing[@]}")
    [[ " ${missing[*]} " == *" gcc "* ]] && packages+=(libc6-dev)
    apt-get install -y -qq "${packages[@]}" >&2 && return
    apt-get update -qq >&2 && apt-get install -y -qq "${packages[@]}" >&2
}

prerequisites() {
    find_missing
    if ((${#missing[@]})) && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        install_missing
        find_missing
    fi
    if ((${#missing[@]})); then
        say "not found: ${missing[*]}"
        say "install them, then run this again; on Debian or Ubuntu: sudo apt-get install ${missing[*]}"
        exit 1
    fi
    if ! command -v cargo >/dev/null; then
        # shellcheck disable=SC1091
        [ -r "$HOME/.cargo/env" ] && . "$HOME/.cargo/env"
    fi
    if ! command -v cargo >/dev/null; then
        say "not found: cargo. Install Rust 1.$MINIMUM_RUST or newer (rustup.rs tells how), then run this again"
        exit 1
    fi
    version=$(cargo --version | sed -n 's/^cargo 1\.\([0-9]*\)\..*/\1/p')
    if [ -n "$version" ] && [ "$version" -lt "$MINIMUM_RUST" ]; then
        say "cargo is version 1.$version: Rust 1.$MINIMUM_RUST or newer is needed; with rustup: rustup update"
        exit 1
    fi
}
