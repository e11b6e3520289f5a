#!/bin/sh
# Builds and tries the image where there is neither a container engine nor an image registry, as root on Debian 12:
#   sh docker/rehearse.sh DIRECTORY [PROGRAM]
# Docker comes from Debian's packages and runs from DIRECTORY, nothing of it is installed. The two base images are
# stand-ins of the same names, made of Debian's packages and of the Rust toolchain of this machine. Then every
# instruction of docker/Dockerfile is carried out in them, and docker/try.sh tries the result. With a PROGRAM, that is
# put in the place of the one that is compiled in the build (some minutes), and only that is left out.
set -eu
work=$(mkdir -p "$1" && cd "$1" && pwd)
program=${2:-}
source=$(cd "$(dirname "$0")/.." && pwd)
toolchain=$(cd "$source" && rustc --print sysroot)
export PATH="$work/engine/usr/sbin:$work/engine/usr/bin:$PATH" DOCKER_HOST="unix://$work/docker.sock"

# unpack FOLDER PACKAGE...
unpack() {
  folder=$1 && shift && mkdir -p "$work/packages" "$folder"
  (cd "$work/packages" && apt-get download "$@" > /dev/null && for file in *.deb; do dpkg -x "$file" "$folder"; done && rm ./*.deb)
}

unpack "$work/engine" docker.io containerd runc mmdebstrap
# A bridge without rules of a firewall: ports are published, and the build has the network of this machine.
dockerd --data-root "$work/images" --exec-root "$work/run" --pidfile "$work/pid" --host "$DOCKER_HOST" --bip 10.231.7.1/24 \
  --iptables=false --ip6tables=false --ip-forward=false --ip-masq=false > "$work/dockerd.log" 2>&1 &
trap 'kill "$(cat "$work/pid")"; wait; umount "$work/run/netns/default" || true; ip link delete docker0 || true' EXIT
for _ in $(seq 1 100); do docker info > /dev/null 2>&1 && break; sleep 0.2; done

# Like rust:slim: Debian with gcc, and a toolchain in /usr/local.
mmdebstrap --quiet --mode=root --variant=minbase --include=ca-certificates,gcc,libc6-dev,wget bookworm "$work/rust" \
  /etc/apt/sources.list.d/debian.sources
mkdir -p "$work/rust/usr/local/cargo/bin" "$work/rust/usr/local/rustup/toolchain"
cp -a "$toolchain/bin" "$toolchain/lib" "$work/rust/usr/local/rustup/toolchain/"
for name in cargo rustc; do ln -s "/usr/local/rustup/toolchain/bin/$name" "$work/rust/usr/local/cargo/bin/$name"; done
# What this machine trusts, so that the build reaches the registry of crates the same way.
cp -L /etc/ssl/certs/ca-certificates.crt "$work/rust/etc/ssl/certs/ca-certificates.crt"
path=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
tar -C "$work/rust" --numeric-owner -c . | docker import --change "ENV CARGO_HOME=/usr/local/cargo PATH=/usr/local/cargo/bin:$path" \
  - "$(sed -n 's/^FROM \(.*\) AS build$/\1/p' "$source/docker/Dockerfile")"
rm -r "$work/rust"

# Like distroless: the libraries and certificates that a program needs, a user, no shell.
unpack "$work/bare" base-files netbase tzdata media-types ca-certificates libc6 libssl3 libgcc-s1 gcc-12-base libgomp1 libstdc++6
cd "$work/bare"
mkdir -p etc/ssl/certs home/nonroot tmp root && chmod 1777 tmp && chown 65532:65532 home/nonroot
find usr/share/ca-certificates -name '*.crt' -exec cat {} + > etc/ssl/certs/ca-certificates.crt
printf 'root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n' > etc/passwd
printf 'root:x:0:\nnonroot:x:65532:\n' > etc/group
rm -rf bin sbin usr/bin usr/sbin usr/share/doc usr/share/man usr/share/lintian usr/share/ca-certificates
tar --numeric-owner -c . | docker import --change "ENV PATH=$path" --change "USER 65532" --change "WORKDIR /home/nonroot" \
  - "$(sed -n 's/^FROM \([^ ]*\)$/\1/p' "$source/docker/Dockerfile")"
rm -r "$work/bare"

mkdir "$work/context" && cd "$source" && git ls-files -z | tar --null -c -T - | tar -x -C "$work/context"
cd "$work/context"
if [ -n "$program" ]; then
  mkdir compiled && cp "$program" compiled/vesta
  sed -i 's#^RUN cargo build .* --bin vesta && #RUN mkdir -p target/release \&\& cp compiled/vesta target/release/ \&\& #' docker/Dockerfile
fi
docker build --network host --file docker/Dockerfile --tag vesta .
sh "$source/docker/try.sh" vesta
