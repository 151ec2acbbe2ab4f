#!/bin/sh
# Installs the pinned npm package smpp (MIT), a message centre for tests to be driven behind Kannel, into
# ${LIANXIN_TOOLS:-$HOME/.cache/lianxin-tools} and prints the folder. Running it again does nothing; two at once wait
# for each other. The Debian packages kannel, kannel-extras and nodejs come from scripts/tools.sh.
set -eu
tools=${LIANXIN_TOOLS:-$HOME/.cache/lianxin-tools}
pins="smpp@0.5.1"
mkdir -p "$tools/smpp"
(
	flock 9
	if [ "$(cat "$tools/smpp/.pins" 2>/dev/null)" != "$pins" ]; then
		cd "$tools/smpp"
		[ -f package.json ] || echo '{"private": true}' >package.json
		# No scripts of strangers run on installation.
		npm install --no-audit --no-fund --no-progress --ignore-scripts --save-exact $pins >&2
		echo "$pins" >.pins
	fi
) 9>"$tools/smpp.lock"
echo "$tools/smpp"
