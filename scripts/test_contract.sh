#!/usr/bin/env bash
# The API against its document: the document is valid OpenAPI 3.1, and a real server answers as it says, whatever it is asked.
set -euo pipefail
cd "$(dirname "$0")/.."
python=.tools/python-tests/bin
binary=target/debug/pigweight
[ -x "$binary" ] || { echo "test_contract: $binary is not built; run make test" >&2; exit 1; }
"$python/openapi-spec-validator" docs/reference/openapi.json
folder=$(mktemp -d)
"$binary" demo --marked "$folder/videos" --secs 6 > /dev/null
"$binary" serve --videos "$folder/videos" --data "$folder/data" --listen 127.0.0.1:0 \
  --model "$folder/videos/drawn-pigs.onnx" > "$folder/serve.out" 2> "$folder/serve.err" &
server=$!
trap 'kill $server 2>/dev/null; wait $server 2>/dev/null; rm -rf "$folder"' EXIT
# The server prints its address as soon as it listens.
address=$(timeout 60 grep -m1 -o 'http://[0-9.:]*' <(tail -f -n +1 --pid=$server "$folder/serve.out")) || {
  echo "test_contract: the server did not start:" >&2; cat "$folder/serve.err" >&2; exit 1; }
# A seed of its own makes a failure come again; SEED=N tries another one. A WebSocket is no matter of requests.
PYTHONPATH=fixtures/api SCHEMATHESIS_HOOKS=schemathesis_hooks "$python/schemathesis" run "$address/api/openapi.json" --max-time 60 --seed "${SEED:-1}" --max-examples 40 --no-color \
  --request-timeout 30 --exclude-path /ws/count --suppress-health-check all --generation-database none --warnings off \
  --checks not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance
kill -0 $server || { echo "test_contract: the server ended:" >&2; cat "$folder/serve.err" >&2; exit 1; }
