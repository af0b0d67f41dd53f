"""Data sets: spirals made on the spot, images that packages bring, and images in a local folder."""

from prunelimits.datasets.cifar import cifar10 as cifar10
from prunelimits.datasets.cifar import cifar100 as cifar100
from prunelimits.datasets.mnist import mnist as mnist
from prunelimits.datasets.packaged import digits as digits
from prunelimits.datasets.packaged import mnist_5k as mnist_5k
from prunelimits.datasets.spirals import cubist_spiral as cubist_spiral
from prunelimits.datasets.spirals import spiral as spiral
from prunelimits.datasets.tiny_imagenet import tiny_imagenet as tiny_imagenet
