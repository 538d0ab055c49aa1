#!/usr/bin/env bash
# Builds the wheel, installs it into an empty environment and does there what a newcomer does first.
#
#     tools/try_wheel.sh            # a small grid on digits and the first example: some minutes
#     tools/try_wheel.sh --whole    # all examples, and the demo, which fetches Fashion-MNIST
#
# PYTHON names the interpreter. Fails if a command fails, or if everything but torch and what torch
# itself needs takes more than LIMIT megabytes.
set -euo pipefail
LIMIT=250
root=$(cd "$(dirname "$0")/.." && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
unset PYTHONPATH
bin=$scratch/venv/bin
"${PYTHON:-python3}" -m venv "$scratch/venv"
pip() { "$bin/python" -m pip --quiet --disable-pip-version-check "$@"; }
megabytes() { du -sm "$scratch"/venv/lib/python3*/site-packages | cut -f1; }

# What git knows, and nothing else: no leftovers of earlier builds.
mkdir "$scratch/source"
(cd "$root" && git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents -t "$scratch/source")
pip wheel --no-deps --wheel-dir "$scratch" "$scratch/source"
ls -l "$scratch"/remission-*.whl

pip install -c "$root/constraints.txt" torch
torch=$(megabytes)
pip install -c "$root/constraints.txt" "$scratch"/remission-*.whl
rest=$(($(megabytes) - torch))
echo "torch and what it needs: $torch MB; all the rest: $rest MB, at most $LIMIT"
[ "$rest" -le "$LIMIT" ]

cd "$scratch" # away from the sources
"$bin/python" -c 'import remission, sys; sys.exit("site-packages" not in remission.__file__)'
"$bin/remission" --version
"$bin/python" -m remission --help >help.txt
"$bin/remission" methods purifiers >methods.txt
"$bin/remission" data list
recipes=$("$bin/python" -c 'import remission; print(remission.__path__[0])')/recipes
"$bin/remission" run "$recipes/quickstart.toml" --dry-run >plan.txt
cat >small.toml <<'SPEC'
name = "small"
dataset = "digits"
arch = "resnet18:4"
seeds = [0]
[split]
defender = 100
attacker = 50
[victim]
epochs = 2
[[attack]]
method = "badnets"
poison_rate = 0.1
size = 2
[[purifier]]
method = "ft"
epochs = 1
[[purifier]]
method = "tsc"
epochs = 1
tune_epochs = 1
rounds = 1
[[purifier]]
method = "halving"
[[reactivation]]
method = "retuning"
budgets = [5]
[path]
points = 3
SPEC
"$bin/remission" run small.toml --store store --methods "$root/examples/halving.py" --quiet
"$bin/remission" table store
"$bin/remission" report store -o report.html
[ "$(wc -c <report.html)" -gt 10000 ]
cp -r "$root/examples" . # in a folder without the sources
examples=(examples/audit_a_purifier.py)
[ "${1:-}" != --whole ] || examples=(examples/*.py)
for example in "${examples[@]}"; do
    echo "$example"
    MPLBACKEND=Agg "$bin/python" "$example" >example.txt || { cat example.txt && exit 1; }
done
if [ "${1:-}" = --whole ]; then
    "$bin/remission" data fetch fashion-mnist
    "$bin/remission" demo
fi
echo "the wheel works"
