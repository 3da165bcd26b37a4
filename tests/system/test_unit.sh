#!/usr/bin/env bash
#
# test_unit.sh UNIT COROD: systemd accepts the unit, and finds it well shut in. UNIT is the
# configured corod.service, COROD a built daemon that stands in for the installed one.
set -euo pipefail

if (($# != 2)); then
    echo "usage: test_unit.sh UNIT COROD" >&2
    exit 64
fi
unit=$1 corod=$2

if ! command -v systemd-analyze >/dev/null; then
    echo "skipped: systemd-analyze is not installed"
    exit 77
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# verify wants the programs of Exec*= to exist.
sed -E "s|^(Exec[A-Za-z]+=)[^ ]*/corod |\1$corod |" "$unit" >"$folder/corod.service"
if ! grep -q "^ExecStart=$corod " "$folder/corod.service"; then
    echo "FAILED: no ExecStart=…/corod in $unit"
    exit 1
fi

# Unknown keys and bad values are warnings, with exit status 0: any output is a failure.
# SYSTEMD_LOG_LEVEL and the manual pages are the machine's, not the unit's.
output=$(SYSTEMD_LOG_LEVEL=warning systemd-analyze verify --man=no \
    "$folder/corod.service" 2>&1) || output+=" (status $?)"
# Other units of the machine are looked at too; what is said of them is not about ours.
output=$(grep -F corod <<<"$output" || true)
if [[ -n $output ]]; then
    printf 'FAILED: systemd-analyze verify says:\n%s\n' "$output"
    exit 1
fi
echo "ok: verify"

# 0 is a service that can do nothing, 100 one without any protection.
readonly worst=20
version=$(systemd-analyze --version | sed -n '1s/^systemd \([0-9]*\).*/\1/p')
if ((version < 250)); then
    echo "skipped: systemd $version cannot judge the security of a unit that is not loaded"
    exit 0
fi
systemd-analyze security --offline=true --no-pager --threshold="$worst" \
    "$folder/corod.service" >"$folder/security" || {
    cat "$folder/security"
    echo "FAILED: more exposed than $worst of 100"
    exit 1
}
tail -n 1 "$folder/security"
echo "ok: security"
