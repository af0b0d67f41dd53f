"""Networks that the library builds itself: the MLP that it trains, and those of papers."""

from prunelimits.models.alexnet import alexnet as alexnet
from prunelimits.models.fully_connected import fc5 as fc5
from prunelimits.models.fully_connected import fc12 as fc12
from prunelimits.models.fully_connected import mlpnet as mlpnet
from prunelimits.models.kaiming import kaiming as kaiming
from prunelimits.models.mlp import MLP as MLP
from prunelimits.models.mlp import check_widths as check_widths
from prunelimits.models.mlp import leading_block as leading_block
from prunelimits.models.mlp import parameter_shapes as parameter_shapes
from prunelimits.models.planted import circle_network as circle_network
from prunelimits.models.planted import helix_network as helix_network
from prunelimits.models.planted import relu_network as relu_network
from prunelimits.models.planting import plant as plant
from prunelimits.models.resnet import resnet18 as resnet18
from prunelimits.models.resnet import resnet20 as resnet20
from prunelimits.models.resnet import resnet50 as resnet50
from prunelimits.models.vgg import vgg16 as vgg16
