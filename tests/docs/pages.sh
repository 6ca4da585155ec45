#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# pages.sh SOURCE: every link between the pages leads somewhere, the README names every page, and mandoc finds nothing wrong with the man pages.
cd "$1" || exit 1
bad=0
for page in README.md docs/*.md; do
    for link in $(grep -o '](\([^)#]*\)' "$page" | cut -c3-); do
        case $link in http*) continue ;; esac
        [ -e "$(dirname "$page")/$link" ] || { echo "$page: $link is not there"; bad=1; }
    done
done
for page in docs/*.md; do
    grep -q "($page)" README.md || { echo "README.md does not lead to $page"; bad=1; }
done
if command -v mandoc >/dev/null; then mandoc -Tlint -Wwarning docs/man/* || bad=1; fi
exit $bad
