#!/usr/bin/env bash
#
# Installs what building, testing or checking corod needs and this machine lacks, with apt-get
# (Debian, Ubuntu) or dnf (Fedora, RHEL and relatives).
set -euo pipefail

usage() {
    cat <<'USAGE'
usage: packaging/deps.sh [-y] [-n] build | test | ci

  build  what compiling corod needs
  test   that, and what tests/run needs
  ci     that, and what .ci/run needs

  -y  install without asking; root is not asked either
  -n  only say what is missing; exit status 1 when something is
  -h  this help
USAGE
}

# A row: who needs it, how to see that it is there, its packages for apt-get and for dnf.
#   cmd:NAME   a command
#   pc:NAME    a pkg-config module
#   gcc:FILE   a library of gcc's own
#   clang:NAME a runtime library of clang's own
# Rows marked 2 come after the rest: they ask a compiler that the rest may have brought, and
# some releases ship these files with the compiler.
readonly table='
build 1 cmd:gcc            gcc              gcc
build 1 cmd:cmake          cmake            cmake
build 1 cmd:ninja          ninja-build      ninja-build
build 1 cmd:pkg-config     pkg-config       pkgconf-pkg-config
build 1 pc:libevent_core   libevent-dev     libevent-devel
build 1 pc:inih            libinih-dev      inih-devel
build 1 pc:libsystemd      libsystemd-dev   systemd-devel
build 2 gcc:libc.so        libc6-dev        glibc-devel
test  1 cmd:g++            g++              gcc-c++
test  1 cmd:make           make             make
test  1 pc:cmocka          libcmocka-dev    libcmocka-devel
test  1 cmd:python3        python3          python3
test  1 cmd:git            git              git-core
test  1 cmd:nm             binutils         binutils
test  1 cmd:socat          socat            socat
test  1 cmd:nc             netcat-openbsd   nmap-ncat
test  1 cmd:curl           curl             curl
test  1 cmd:valgrind       valgrind         valgrind
test  1 cmd:strace         strace           strace
test  1 cmd:gdb            gdb              gdb
test  1 cmd:systemd-analyze systemd         systemd
test  1 cmd:shellcheck     shellcheck       ShellCheck
test  2 gcc:libasan.so     gcc              libasan
test  2 gcc:libubsan.so    gcc              libubsan
ci    1 cmd:clang          clang            clang
ci    1 cmd:clang-format   clang-format     clang-tools-extra
ci    1 cmd:clang-tidy     clang-tidy       clang-tools-extra
ci    1 cmd:codespell      codespell        codespell
ci    1 cmd:aarch64-linux-gnu-gcc gcc-aarch64-linux-gnu gcc-aarch64-linux-gnu
ci    1 cmd:aarch64-linux-gnu-gcc libc6-dev-arm64-cross gcc-aarch64-linux-gnu
ci    1 cmd:qemu-aarch64   qemu-user        qemu-user
ci    2 gcc:libtsan.so     gcc              libtsan
ci    2 clang:asan         libclang-rt-dev  compiler-rt
'

say() {
    printf '%s\n' "$*" >&2
}

die() {
    say "deps.sh: $*"
    exit 1
}

# True when the thing that a probe names is there.
is_there() {
    local name=${1#*:}

    case $1 in
    cmd:*) command -v "$name" >/dev/null ;;
    pc:*) pkg-config --exists "$name" 2>/dev/null ;;
    gcc:*) [[ $(gcc -print-file-name="$name" 2>/dev/null) == /* ]] ;;
    clang:*) compgen -G "$(clang -print-resource-dir 2>/dev/null)/lib/*/libclang_rt.$name*" \
        >/dev/null ;;
    *) die "unknown probe $1" ;;
    esac
}

# Prints the packages that are missing for the goal, in one pass or in both ("12").
missing() {
    local passes=$1 group pass probe deb rpm

    while read -r group pass probe deb rpm; do
        [[ -n $group && $groups == *" $group "* && $passes == *"$pass"* ]] || continue
        is_there "$probe" && continue
        case $manager in
        dnf) printf '%s\n' "$rpm" ;;
        *) printf '%s\n' "$deb" ;;
        esac
    done <<<"$table" | sort -u
}

as_root() {
    if ((EUID == 0)); then
        "$@"
    else
        sudo "$@"
    fi
}

apt_get() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 "$@"
}

install_packages() {
    case $manager in
    apt-get)
        # A fresh image has no package lists, an old machine has outdated ones.
        compgen -G '/var/lib/apt/lists/*_Packages*' >/dev/null || apt_get update
        apt_get install -y --no-install-recommends "$@" ||
            { apt_get update && apt_get install -y --no-install-recommends "$@"; }
        ;;
    dnf) as_root dnf install -y "$@" ;;
    esac
}

# Ends the script unless packages can be installed here and the user agrees.
check_consent() {
    local answer

    [[ -n $manager ]] || die "neither apt-get nor dnf here: install them by hand" \
        "(the names are Debian's)"
    ((EUID == 0)) && return
    command -v sudo >/dev/null || die "not root, and no sudo here: as root, run" \
        "'$manager install $*'"
    ((yes)) && return
    [[ -t 0 ]] || die "nobody to ask: run it again with -y, or as root"
    read -r -p "Install them with 'sudo $manager'? [Y/n] " answer
    [[ $answer =~ ^([Yy].*)?$ ]] || die "not installed"
    yes=1
}

# Installs what one pass misses.
ensure() {
    local packages

    mapfile -t packages < <(missing "$1")
    ((${#packages[@]})) || return 0
    say "missing for ${goal}: ${packages[*]}"
    check_consent "${packages[@]}"
    install_packages "${packages[@]}" ||
        die "$manager could not install: ${packages[*]}"
}

yes=0
only_say=0
while getopts ynh option; do
    case $option in
    y) yes=1 ;;
    n) only_say=1 ;;
    h) usage && exit 0 ;;
    *) usage >&2 && exit 64 ;;
    esac
done
shift $((OPTIND - 1))

goal=${1-}
case $goal in
build) groups=' build ' ;;
test) groups=' build test ' ;;
ci) groups=' build test ci ' ;;
*) usage >&2 && exit 64 ;;
esac
(($# == 1)) || { usage >&2 && exit 64; }

manager=
for candidate in apt-get dnf; do
    if command -v "$candidate" >/dev/null; then
        manager=$candidate
        break
    fi
done

if ((only_say)); then
    rest=$(missing 12)
    [[ -z $rest ]] || { say "missing for $goal:" && printf '%s\n' "$rest"; exit 1; }
    exit 0
fi

ensure 1
ensure 2
rest=$(missing 12 | tr '\n' ' ')
[[ -z $rest ]] || die "installed, but still not usable: $rest"
