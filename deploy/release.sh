#!/bin/sh
# Makes a release: deploy/release.sh 0.2.0. Version in its one place, changelog, tests, wheel, tag; publishing is yours.
set -eu
cd "$(dirname "$0")/.."
version=${1:?"usage: deploy/release.sh VERSION"}
echo "$version" | grep -Eq '^[0-9]+\.[0-9]+\.[0-9]+$' || { echo "a version is three numbers, like 0.2.0"; exit 2; }
[ -z "$(git status --porcelain)" ] || { echo "the working tree has changes that are not committed"; exit 1; }
[ "$(git branch --show-current)" = main ] || { echo "releases are made from main"; exit 1; }
git rev-parse -q --verify "refs/tags/v$version" >/dev/null && { echo "v$version is there already"; exit 1; }
grep -q '^## \[Unreleased\]' CHANGELOG.md || { echo "CHANGELOG.md has no unreleased part"; exit 1; }

sed -i "s/^__version__ = .*/__version__ = \"$version\"/" src/unmask/__init__.py
sed -i "s/^version: .*/version: $version/" CITATION.cff
sed -i "s/^## \[Unreleased\]/## [Unreleased]\n\n## [$version] — $(date -u +%F)/" CHANGELOG.md
make test docs sbom
git commit -qam "Release $version"
git tag -a "v$version" -m "unmask $version"
echo "dist/ holds the wheel, the source archive, the bill of materials and the licences. Now:"
echo "  git push origin main v$version"
