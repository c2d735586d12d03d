#!/usr/bin/env bash
# Installs the built program, or removes it: `make install` and `make uninstall` call this.
#
# usage: scripts/install.sh [--remove] DESTDIR PREFIX
# PROGRAM names another build than target/release/pigweight.
set -euo pipefail
cd "$(dirname "$0")/.."
remove=0
[ "${1:-}" != --remove ] || { remove=1; shift; }
destdir=$1 prefix=$2
case $prefix in /*) ;; *) echo "install: PREFIX must be an absolute path, not $prefix" >&2; exit 2 ;; esac
root=$destdir$prefix
unit=$root/lib/systemd/system/pigweight.service

if [ $remove = 1 ]; then
  rm -f "$root/bin/pigweight" "$unit" "$root"/share/man/man1/pigweight*.1 "$root/share/bash-completion/completions/pigweight" \
    "$root/share/zsh/site-functions/_pigweight" "$root/share/fish/vendor_completions.d/pigweight.fish"
  rm -rf "$root/lib/pigweight" "$root/share/doc/pigweight"
  echo "install: removed from $root; settings and results are still there (docs/guide/install.md)"
  exit 0
fi

program=${PROGRAM:-${CARGO_TARGET_DIR:-target}/release/pigweight}
[ -x "$program" ] || { echo "install: $program is not built; run make install, which builds it" >&2; exit 1; }
mkdir -p "$root" 2>/dev/null && [ -w "$root" ] || {
  echo "install: $root cannot be written; become root, or name a folder of yours: make install PREFIX=\$HOME/.local" >&2; exit 1; }
install -D -m 755 "$program" "$root/bin/pigweight"
for library in .tools/onnxruntime/libonnxruntime*.so*; do
  install -D -m 644 "$library" "$root/lib/pigweight/$(basename "$library")"
done
for notice in .tools/onnxruntime/{LICENSE,ThirdPartyNotices.txt}; do
  [ ! -f "$notice" ] || install -D -m 644 "$notice" "$root/share/doc/pigweight/onnxruntime/$(basename "$notice")"
done
install -d "$root/share/man/man1"
"$program" man --dir "$root/share/man/man1"
completions() { install -d "$root/$(dirname "$2")"; "$program" completions "$1" > "$root/$2"; }
completions bash share/bash-completion/completions/pigweight
completions zsh share/zsh/site-functions/_pigweight
completions fish share/fish/vendor_completions.d/pigweight.fish
install -D -m 644 packaging/pigweight.toml "$root/share/doc/pigweight/pigweight.toml"
install -D -m 644 /dev/null "$unit"
sed "s#@PREFIX@#$prefix#g" packaging/pigweight.service > "$unit"
echo "install: $root/bin/pigweight; docs/guide/install.md says how to run it as a service"
