#!/bin/sh
# Makes the secrets that compose.yaml mounts; one that is there stays. Needs openssl. An argument is another folder.
set -eu
folder=${1:-$(dirname "$0")/secrets}
mkdir -p "$folder"
chmod 700 "$folder"
cd "$folder"
umask 022

for name in postgres-password valkey-password; do
  [ -s "$name" ] || openssl rand -hex 24 > "$name"
done
[ -s records-key ] || openssl rand -base64 32 > records-key

# One user, and of Valkey what counting needs (docs/operations.md#counters).
[ -s valkey-users ] || cat > valkey-users <<EOF
user default off
user mcpgov on >$(cat valkey-password) ~mcpgov:* +evalsha +script|load +time +lindex +lrange +lpop +lpush +rpush +lset +lrem +del +pexpire +hget +hincrby +expireat +select
EOF
