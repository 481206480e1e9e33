# Reads CloudEvents, one a line, with the Python SDK of the CloudEvents project, and prints the attributes of each.
set -eu
version=2.2.0
home=${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/neuroglia/cloudevents-$version

if [ ! -d "$home" ]; then
    echo "installing the CloudEvents SDK $version" >&2
    mkdir -p "${home%/*}"
    new=$(mktemp -d "$home.XXXXXX")
    pip="-m pip install --quiet --disable-pip-version-check --no-input --root-user-action=ignore --no-warn-conflicts"
    python3 $pip --target "$new" "cloudevents==$version" >&2 || {
        python3 -m venv "$new/venv" && "$new/venv/bin/python3" $pip --target "$new" "cloudevents==$version" >&2
    }
    mv -T "$new" "$home" 2>/dev/null || rm -rf "$new"
fi

PYTHONPATH="$home" exec python3 -c '
import json, sys
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

for line in sys.stdin.buffer:
    event = JSONFormat().read(CloudEvent, line)
    print(json.dumps({"attributes": {name: str(value) for name, value in event.get_attributes().items()},
                      "data": event.get_data()}))
'
