#!/bin/sh
# Stops and deletes a workspace that fills the disk of its `up`, in a file system of 24 MiB, and tries to start more.
# The workspace begins to once there is a file `go`.
# Usage: full_disk.sh GITPOD REPOSITORY DIRECTORY
set -eu
if [ "${4:-}" != inside ]; then
    exec unshare -rm "$0" "$1" "$2" "$3" inside
fi
gitpod=$1 repository=$2 dir=$3
mount -t tmpfs -o size=24m tmpfs "$dir"
export GITPOD_STATE_DIR="$dir/state"
"$gitpod" up --listen 127.0.0.1:0 --ssh-listen 127.0.0.1:0 --ide none --network shared -o json \
    > /dev/null &
up=$!
trap 'kill $up 2> /dev/null || true; wait $up || true' EXIT
n=0
until "$gitpod" list > /dev/null 2>&1; do
    n=$((n + 1)); [ $n -lt 100 ]; sleep 0.1
done
id=$("$gitpod" start "$repository" -o json | sed 's/.*"id":"\([^"]*\)".*/\1/')
touch "$GITPOD_STATE_DIR/workspaces/$id/content/go"
n=0
until [ "$(df --output=avail "$dir" | tail -n 1)" -eq 0 ]; do
    n=$((n + 1)); [ $n -lt 600 ]; sleep 0.1
done
timeout 30 "$gitpod" start "$repository" 2>&1 > /dev/null | grep -o -m 1 'no space left' || true
"$gitpod" stop "$id" >&2
echo stopped
timeout 30 "$gitpod" start "$id" 2>&1 > /dev/null | grep -o -m 1 'no space left' || true
"$gitpod" delete "$id" >&2
echo deleted
"$gitpod" list -o json | grep -c "$id" || true
