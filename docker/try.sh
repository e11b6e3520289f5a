#!/bin/sh
# Tries an image that docker/Dockerfile made: sh docker/try.sh [IMAGE]
# Starts it as the Dockerfile says, and again on a read-only file system without any capability, writes and reads a
# resource, stops it, and looks at what is stored. Ends with an error where something is not as it has to be. Takes port
# 8080, and makes and removes a volume and two containers of its own.
set -eu
image=${1:-vesta}
volume=vesta-try
base=http://localhost:8080/fhir

end() { docker rm -f vesta-try-1 vesta-try-2 > /dev/null 2>&1 || true; docker volume rm "$volume" > /dev/null 2>&1 || true; }
say() { echo "ok: $*"; }
wrong() { echo "wrong: $*" >&2; exit 1; }
# is WHAT EXPECTED FOUND
is() { if [ "$2" = "$3" ]; then say "$1 is $2"; else wrong "$1 is $3, not $2"; fi; }
ready() {
  for _ in $(seq 1 100); do curl --silent --fail --output /dev/null http://localhost:8080/health/ready && return; sleep 0.2; done
  wrong "the server does not get ready"
}
status() { curl --silent --output /dev/null --write-out '%{http_code}' "$@"; }
field() { awk -v name="$2:" '$1 == name { print $2 }' "/proc/$(docker inspect --format '{{.State.Pid}}' "$1")/status"; }
stop() {
  docker stop --time 40 "$1" > /dev/null
  is "the exit code after docker stop" 0 "$(docker inspect --format '{{.State.ExitCode}}' "$1")"
}

end
trap end EXIT
docker run --detach --name vesta-try-1 --publish 127.0.0.1:8080:8080 --volume "$volume:/data" "$image" > /dev/null
ready
token=$(docker logs vesta-try-1 2> /dev/null | sed -n 's/^ *TOKEN=//p')
is "the user of the process" 65532 "$(field vesta-try-1 Uid)"
is "the status of the metadata" 200 "$(status "$base/metadata")"
is "the status of a search without a token" 401 "$(status "$base/Patient")"
is "the status of a create" 201 "$(status --header "Authorization: Bearer $token" \
  --header 'Content-Type: application/fhir+json' --data '{"resourceType":"Patient","name":[{"family":"Shaw"}]}' "$base/Patient")"
docker exec vesta-try-1 vesta backup /data/try.vesta > /dev/null 2>&1 && say "a backup beside the running server"
if docker exec vesta-try-1 sh -c true > /dev/null 2>&1; then wrong "there is a shell in the image"; fi
stop vesta-try-1

docker run --detach --name vesta-try-2 --read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges:true \
  --publish 127.0.0.1:8080:8080 --volume "$volume:/data" "$image" > /dev/null
ready
is "the capabilities of the process" 0000000000000000 "$(field vesta-try-2 CapEff)"
found=$(curl --silent --header "Authorization: Bearer $token" "$base/Patient?name=shaw&_summary=count")
case $found in *'"total":1'*) say "what was created is found after a restart" ;; *) wrong "$found" ;; esac
stop vesta-try-2

docker run --rm --volume "$volume:/data" "$image" check | grep ' 0 faults'
docker run --rm --volume "$volume:/data" "$image" user list | grep '^admin'
echo "size: $(docker image inspect --format '{{.Size}}' "$image") bytes"
