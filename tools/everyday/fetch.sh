#!/bin/sh
# Fetches, by name and pinned version, the packages that `everyday` is made from, into the folder given (default: sources/ here).
# Nothing is installed: packages are only unpacked. Needs apt-get, dpkg and npm; about 350 MB of downloads.
set -eu
sources=${1:-"$(dirname "$0")/sources"}
mkdir -p "$sources"
cd "$sources"

apt-get download fluid-soundfont-gm=3.1-5.3 sweethome3d-furniture=1.8-1 wordnet-base=1:3.0-37
for package in fluid-soundfont-gm sweethome3d-furniture wordnet-base; do
    dpkg -x "$package"_*.deb "$package"
done

npm pack @iconify/json@2.2.535
mkdir -p iconify-json
tar -xzf iconify-json-*.tgz --strip-components=1 -C iconify-json
