#!/bin/sh
# Makes the hotline's prompts: the WAV files beside ivr/prompts/zh-CN/prompts.yaml and those of the
# knowledge base. Only what is missing or has changed is rendered, and no recording of a studio is touched.
#
#   scripts/prompts.sh           render
#   scripts/prompts.sh -list     what there is to record, tab-separated, for a studio
#   scripts/prompts.sh -force    render all of our own files again
#
# Nothing is installed by this script.
set -eu
cd "$(dirname "$0")/.."

missing=
for tool in espeak-ng sox; do
	command -v "$tool" >/dev/null || missing="$missing $tool"
done
case " $* " in *" -list "*) missing= ;; esac
if [ -n "$missing" ]; then
	echo "prompts.sh: not installed:$missing; on Debian: apt-get install$missing" >&2
	exit 1
fi
exec go run ./ivr/prompts/make "$@"
