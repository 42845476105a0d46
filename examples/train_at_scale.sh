#!/usr/bin/env bash
# The large recipe at scale: published data sets on a disk → crops → audit → training on all GPUs → a measured bundle.
#
#   examples/train_at_scale.sh OUT --faceforensics DIR --celeb-df DIR --dfdc DIR [--recipe NAME] [--frames N] [-- --set key.sub=value …]
#
# Any data set of `unmask data list` can be named as --NAME DIR. Every step resumes: after a stop, give the same command again.
set -euo pipefail

if [ $# -lt 3 ]; then
    sed -n '2,6p' "$0" | sed 's/^# \{0,1\}//'
    exit 2
fi

UNMASK=${UNMASK:-unmask}
out=$1
shift
recipe=unmask-clip-large
frames=32
sets=()
folders=()
while [ $# -gt 0 ] && [ "$1" != -- ]; do
    case $1 in
        --recipe) recipe=$2 ;;
        --frames) frames=$2 ;;
        --celeb-df) sets+=(celeb-df-v2) folders+=("$2") ;;
        --*) sets+=("${1#--}") folders+=("$2") ;;
        *) echo "unknown argument: $1" >&2 && exit 2 ;;
    esac
    shift 2
done
[ $# -eq 0 ] || shift # the two dashes
changes=("$@")

mkdir -p "$out"
crops=()
for number in "${!sets[@]}"; do
    set_name=${sets[$number]}
    manifest=$out/$set_name.parquet
    # 1. What the set holds. FaceForensics++ publishes training, validation and test; the others get ours, by group.
    [ -e "$manifest" ] || $UNMASK data read "$set_name" "${folders[$number]}" --out "$manifest"
    split=$out/$set_name-split.parquet
    if [ "$set_name" = faceforensics ]; then
        split=$manifest
    elif [ ! -e "$split" ]; then
        $UNMASK data split "$manifest" --by group --out "$split"
    fi
    # 2. The faces of evenly spaced frames of each video.
    $UNMASK data prepare "$split" --frames "$frames" --margin 1.5 --out "$out/$set_name-crops"
    crops+=(--data "$out/$set_name-crops")
done

# 3. Training on all GPUs of this machine; several machines: the same line under torchrun or SLURM.
$UNMASK train "$recipe" "${crops[@]}" --out "$out/run" ${changes[@]+"${changes[@]}"}

# 4. A bundle with thresholds by source, and its figures on the test splits, beside the default bundle.
$UNMASK export "$out/run" "${crops[@]}" --out "$out/$recipe.onnx"
$UNMASK evaluate "$out/$recipe.onnx" default "${crops[@]}" --split test --crops --out "$out/evaluation"
