#!/usr/bin/env bash
# Every shell script of the project passes shellcheck.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.."

if ! command -v shellcheck >/dev/null; then
    echo "skipped: shellcheck is not installed"
    exit 77
fi

# Tracked and new files, or all of an unpacked archive, whose first line names a shell.
list_files() {
    git ls-files -z --cached --others --exclude-standard 2>/dev/null ||
        find . \( -name .git -o -name 'build*' -o -name out \) -prune -o -type f -print0
}

scripts=()
while IFS= read -r -d '' file; do
    if [[ -f $file ]] && head -n 1 -- "$file" | grep -aqE '^#!.*\b(ba|da)?sh$'; then
        scripts+=("$file")
    fi
done < <(list_files)

if ((${#scripts[@]} == 0)); then
    echo "no script found: what is tested here?"
    exit 1
fi
shellcheck --external-sources -- "${scripts[@]}"
echo "${#scripts[@]} scripts good"
