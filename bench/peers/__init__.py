"""The systems by the name that the command line has for them."""

from .debezium import Debezium
from .native import Native, NativeTcp
from .pglogical import Pglogical
from .pgduet import PgduetDirect, PgduetKafka

OURS = {"kafka": PgduetKafka, "direct": PgduetDirect}
PEERS = {"native": Native, "native-tcp": NativeTcp, "pglogical": Pglogical, "debezium": Debezium}
SYSTEMS = {**PEERS, **OURS}
