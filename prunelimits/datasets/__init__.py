"""Data sets: made on the spot, from packages, from local files; and their rows in three parts."""

from prunelimits.datasets.ceiling import accuracy_ceiling as accuracy_ceiling
from prunelimits.datasets.cifar import cifar10 as cifar10
from prunelimits.datasets.cifar import cifar100 as cifar100
from prunelimits.datasets.mnist import mnist as mnist
from prunelimits.datasets.packaged import digits as digits
from prunelimits.datasets.packaged import mnist_5k as mnist_5k
from prunelimits.datasets.plane import circles as circles
from prunelimits.datasets.plane import exclusive_or as exclusive_or
from prunelimits.datasets.plane import gaussians as gaussians
from prunelimits.datasets.plane import moons as moons
from prunelimits.datasets.plane_features import plane_features as plane_features
from prunelimits.datasets.planted import planted_circle as planted_circle
from prunelimits.datasets.planted import planted_helix as planted_helix
from prunelimits.datasets.planted import planted_relu as planted_relu
from prunelimits.datasets.r_tables import r_table as r_table
from prunelimits.datasets.spirals import cubist_spiral as cubist_spiral
from prunelimits.datasets.spirals import spiral as spiral
from prunelimits.datasets.three_parts import Parts as Parts
from prunelimits.datasets.three_parts import constant_columns as constant_columns
from prunelimits.datasets.three_parts import standardised as standardised
from prunelimits.datasets.three_parts import three_parts as three_parts
from prunelimits.datasets.tiny_imagenet import tiny_imagenet as tiny_imagenet
