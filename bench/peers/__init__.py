"""The systems by the name that the command line has for them."""

from .native import Native, NativeTcp
from .pgduet import PgduetDirect, PgduetKafka

OURS = {"kafka": PgduetKafka, "direct": PgduetDirect}
PEERS = {"native": Native, "native-tcp": NativeTcp}
SYSTEMS = {**PEERS, **OURS}
