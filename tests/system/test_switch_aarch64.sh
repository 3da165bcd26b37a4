#!/usr/bin/env bash
#
# test_switch_aarch64.sh SOURCE: the aarch64 switch works, under an emulator; and all of the
# library compiles for aarch64. On other processors this is the only run of that code.
set -euo pipefail

source=$1
cc=aarch64-linux-gnu-gcc
for tool in "$cc" qemu-aarch64; do
    if ! command -v "$tool" >/dev/null; then
        echo "skipped: $tool is not installed"
        exit 77
    fi
done
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
if ! "$cc" -static -x c -o "$folder/empty" - <<<'int main(void) { return 0; }' 2>/dev/null; then
    echo "skipped: $cc has no C library to link with"
    exit 77
fi

flags=(-O2 -std=gnu17 -D_GNU_SOURCE -DCO_SWITCH_AARCH64 -Wall -Wextra -Werror
    -I"$source/lib" -I"$source/lib/include")
"$cc" "${flags[@]}" -static -o "$folder/switch" "$source/tests/support/switch_cross.c" \
    "$source/lib/core/switch.c" "$source/lib/core/switch_aarch64.S" -lm
qemu-aarch64 "$folder/switch"
echo "ok: switch"

# Headers of libevent and valgrind are the same for all processors but for one generated file.
for file in "$source"/lib/{base,core,net}/*.c; do
    [[ $file == */switch_ucontext.c ]] && continue
    "$cc" "${flags[@]}" -idirafter /usr/include -idirafter "/usr/include/$(uname -m)-linux-gnu" \
        -c -o "$folder/object.o" "$file"
done
echo "ok: library"
