#!/bin/sh
# Makes what compose.yaml keeps secret, in docker/secrets/, which is not part of the repository. Does nothing where they
# are. The folder is for its owner only; the files are readable, because the user in a container is another one.
set -eu
cd "$(dirname "$0")"
if [ -d secrets ]; then
  echo "docker/secrets is there already"
  exit 0
fi
(umask 077 && mkdir secrets)
openssl rand -base64 756 > secrets/mongodb-keyfile
openssl rand -hex 24 > secrets/mongodb-root-password
openssl rand -hex 24 > secrets/mongodb-vesta-password
printf 'store = "mongodb://vesta:%s@mongo-1,mongo-2,mongo-3/vesta?replicaSet=rs0&authSource=admin"\n' \
  "$(cat secrets/mongodb-vesta-password)" > secrets/vesta.toml
chmod 644 secrets/*
echo "docker/secrets is made"
