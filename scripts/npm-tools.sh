#!/bin/sh
# Installs the pinned npm tools that tests use (never the program) into ${LIANXIN_TOOLS:-$HOME/.cache/lianxin-tools}
# and prints the folder. Running it again does nothing; two at once wait for each other.
#
#   @stoplight/prism-cli          validates requests and responses against an OpenAPI document; later ones need Node 24
#   @twilio/cli-core              carries Twilio's own OpenAPI document
#   sms-segments-calculator       Twilio's segment counter, an independent oracle for ours
set -eu
tools=${LIANXIN_TOOLS:-$HOME/.cache/lianxin-tools}
pins="@stoplight/prism-cli@5.14.2 @twilio/cli-core@8.3.2 sms-segments-calculator@1.3.0"
mkdir -p "$tools/npm"
(
	flock 9
	if [ "$(cat "$tools/npm/.pins" 2>/dev/null)" != "$pins" ]; then
		cd "$tools/npm"
		[ -f package.json ] || echo '{"private": true}' >package.json
		# No scripts of strangers run on installation.
		npm install --no-audit --no-fund --no-progress --ignore-scripts --save-exact $pins >&2
		echo "$pins" >.pins
	fi
) 9>"$tools/npm.lock"
echo "$tools/npm"
