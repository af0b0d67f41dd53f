"""A pruner in someone else's training loop."""

from prunelimits.sessions.attach import attach as attach
from prunelimits.sessions.lottery import lottery_ticket as lottery_ticket
from prunelimits.sessions.session import PruningSession as PruningSession
