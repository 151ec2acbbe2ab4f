#!/usr/bin/env bash
# Installs what the tests talk to, when it is missing: real SIP phones and load, real databases, a real browser.
# The program itself needs none of it. Runs as root, or through sudo; does nothing when all is there.
set -euo pipefail

# command or file that shows it is there : Debian package
want=(
	"sipp:sip-tester"
	"/usr/lib/baresip/modules/aufile.so:baresip-core"
	"linphonec:linphone-cli"
	"svmap:sipvicious"
	"kamailio:kamailio"
	"nft:nftables"
	"ip:iproute2"
	"redis-server:redis-server"
	"chromium:chromium"
	"sox:sox"
	"opusenc:opus-tools"
	"espeak-ng:espeak-ng"
	"/usr/sbin/mariadbd:mariadb-server"
	"bearerbox:kannel"
	"/usr/sbin/dovecot:dovecot-imapd"
	"/usr/lib/python3/dist-packages/aiosmtpd:python3-aiosmtpd"
	"/usr/lib/kannel/test/fakesmsc:kannel-extras"
	"tshark:tshark"
	"node:nodejs"
	"npm:npm"
	"/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc:fonts-noto-cjk"
)

missing=()
for w in "${want[@]}"; do
	probe=${w%%:*} package=${w#*:}
	if [ "${probe#/}" != "$probe" ]; then
		[ -e "$probe" ] || missing+=("$package")
	else
		command -v "$probe" >/dev/null 2>&1 || missing+=("$package")
	fi
done
compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || missing+=(postgresql)

if [ ${#missing[@]} -gt 0 ]; then
	echo "installing for the tests: ${missing[*]}"
	sudo=
	if [ "$(id -u)" != 0 ]; then
		command -v sudo >/dev/null 2>&1 || { echo "tools.sh: run as root once: apt-get install ${missing[*]}" >&2; exit 1; }
		sudo=sudo
	fi
	export DEBIAN_FRONTEND=noninteractive
	$sudo apt-get update -qq
	# Keep the packages' own servers from starting: the tests start theirs, on free ports.
	policy=/usr/sbin/policy-rc.d
	made=
	if [ ! -e $policy ]; then
		printf '#!/bin/sh\nexit 101\n' | $sudo tee $policy >/dev/null
		$sudo chmod 755 $policy
		made=1
	fi
	trap '[ -z "$made" ] || $sudo rm -f $policy' EXIT
	$sudo apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

dir=$(dirname "$0")
"$dir/npm-tools.sh"
"$dir/smpp.sh"
