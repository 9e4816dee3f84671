#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Runs a compiler, and keeps what it says beside what it makes: ptxas tells registers and spills only while it compiles.
for argument; do
  [ "$previous" = -o ] && object=$argument
  previous=$argument
done
"$@" 2>"$object.log"
status=$?
if [ "$status" -ne 0 ] || grep -qi warning "$object.log"; then cat "$object.log" >&2; fi
exit "$status"
