"""How important a weight is: one pure function a score."""

from prunelimits.scores.fisher import sample_gradients as sample_gradients
from prunelimits.scores.gradient import loss_gradient as loss_gradient
from prunelimits.scores.grasp import grasp as grasp
from prunelimits.scores.lamp import lamp as lamp
from prunelimits.scores.magnitude import magnitude as magnitude
from prunelimits.scores.npb import npb as npb
from prunelimits.scores.obc import obc as obc
from prunelimits.scores.obc import obc_correction as obc_correction
from prunelimits.scores.obd import obd as obd
from prunelimits.scores.obs import obs as obs
from prunelimits.scores.obs import obs_correction as obs_correction
from prunelimits.scores.prospr import prospr as prospr
from prunelimits.scores.random import random as random
from prunelimits.scores.snip import snip as snip
from prunelimits.scores.synflow import synflow as synflow
from prunelimits.scores.wanda import wanda as wanda
from prunelimits.scores.xavier import xavier_normal as xavier_normal
