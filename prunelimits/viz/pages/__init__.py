"""Interactive pages about sparse networks, each one self-contained HTML file."""

from prunelimits.viz.pages.frames import Network as Network
from prunelimits.viz.pages.kinds import comparison as comparison
from prunelimits.viz.pages.kinds import film as film
from prunelimits.viz.pages.kinds import gallery as gallery
from prunelimits.viz.pages.kinds import playground as playground
from prunelimits.viz.pages.page import Page as Page
from prunelimits.viz.pages.play import play as play
