# The one list of Debian packages, and the function that installs what is missing of it.
# Sourced by tools/quickstart and tools/test:  . tools/packages.sh; install_packages build test
#
# An entry is a package, or `command:package` where any provider of the command will do (npm, node).
# Works as root or with sudo; says which packages it installs; touches nothing that is there already.

PACKAGES_build="g++ meson ninja-build ccache pkg-config cmake ca-certificates flatc:flatbuffers-compiler
  libcli11-dev libflatbuffers-dev libfmt-dev libhiredis-dev libisal-dev libmimalloc-dev libsimdjson-dev libssl-dev
  libtomlplusplus-dev liburing-dev zlib1g-dev"
PACKAGES_test="clang-19 clang-format-19 libclang-rt-19-dev lld-19 binutils libgtest-dev python3
  python3-venv python3-pip awscli curl openssl procps zstd e2fsprogs xfsprogs mount util-linux
  libfuse3-dev node:nodejs npm:npm valgrind redis-server"
PACKAGES_nightly="clang-tidy-19"
PACKAGES_bench="fio redis-server valgrind wrk node:nodejs npm:npm"

package_is_there() {  # one entry of a list
  case "$1" in
    *:*) command -v "${1%%:*}" >/dev/null 2>&1 ;;
    *) [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ] ;;
  esac
}

install_packages() {  # names of lists: build, test, nightly, bench
  local list entry missing="" run=""
  for list in "$@"; do
    local name="PACKAGES_$list"
    for entry in ${!name}; do
      package_is_there "$entry" || missing="$missing ${entry##*:}"
    done
  done
  [ -n "$missing" ] || return 0
  if [ "$(id -u)" != 0 ]; then
    if ! command -v sudo >/dev/null 2>&1; then
      echo "missing packages:$missing" >&2
      echo "install them as root:  apt-get install$missing" >&2
      return 1
    fi
    run=sudo
  fi
  echo "installing Debian packages:$missing"
  local install="env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends"
  # The index is fetched only when what is here does not do: it may be new enough already.
  # shellcheck disable=SC2086
  if ! $run $install $missing >/dev/null 2>&1; then
    $run apt-get update -qq && $run $install $missing >/dev/null || {
      echo "apt-get could not install:$missing" >&2
      return 1
    }
  fi
}
