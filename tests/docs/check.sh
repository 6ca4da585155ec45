#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# check.sh PROGRAM FILE: FILE is what PROGRAM prints.
diff -u --label "$2" "$2" --label "what the tree says" <("$1") | head -n 40
[ "${PIPESTATUS[0]}" -eq 0 ] && exit 0
echo "out of date; to mend it: $1 > $2"
exit 1
